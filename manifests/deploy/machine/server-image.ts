import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { buildImage } from './build-image.ts';
import { runCommand } from './command.ts';
import type { Engine } from './docker.ts';
import { root } from './places.ts';
import type { Step } from './steps.ts';

export const serverImage = 'spoonbox/server:latest';

/** What of the checkout the build is sent; `.dockerignore` leaves out more. */
const sources = [
  'package.json',
  'package-lock.json',
  '.npmrc',
  'tsconfig.base.json',
  'LICENSE',
  'shared',
  'controller',
  'gateway',
  'manifests',
];
const proxies = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
const dockerfile = 'manifests/images/spoonbox/Dockerfile';
const certificate = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Builds the image of controller, gateway and filtering socket under this name. */
export async function buildServerImage(
  engine: Engine,
  tag: string,
  mayInstall: boolean,
  step: Step,
  signal: AbortSignal,
): Promise<void> {
  const buildArgs = await buildArguments(signal);
  const build = { name: 'server', dir: root, dockerfile, files: sources, tag, buildArgs };
  await buildImage(engine, build, mayInstall, step, signal);
  step.done(tag);
}

/** How npm reaches its registry from here: a build has none of this machine's settings. Credentials are never among them. */
async function buildArguments(signal: AbortSignal): Promise<Record<string, string>> {
  const registry = new URL(await npmSetting('registry', signal));
  registry.username = '';
  registry.password = '';
  const files = [await npmSetting('cafile', signal), process.env.NODE_EXTRA_CA_CERTS ?? ''];
  const certificates = extraCertificates(new Set(files.filter((file) => file !== '' && file !== 'null')));
  return {
    NPM_CONFIG_REGISTRY: registry.href,
    ...(certificates === '' ? {} : { EXTRA_CA_CERTIFICATES: certificates }),
    ...Object.fromEntries([...proxies, 'SOURCE_DATE_EPOCH'].flatMap((name) => settingOf(name))),
  };
}

function settingOf(name: string): [string, string][] {
  const value = process.env[name];
  return value === undefined || value === '' ? [] : [[name, value]];
}

async function npmSetting(name: string, signal: AbortSignal): Promise<string> {
  let value = '';
  const onLine = (line: string): void => {
    value = line;
  };
  await runCommand('npm', ['config', 'get', name], { onLine }, signal);
  return value;
}

/** What these files hold beyond what every Node trusts by itself: a whole bundle would be too long for a build argument. */
function extraCertificates(files: ReadonlySet<string>): string {
  const bundled = new Set(rootCertificates.map(fingerprint));
  const own = [...files].flatMap((file) => readFileSync(file, 'utf8').match(certificate) ?? []);
  const extra = own.filter((pem) => !bundled.has(fingerprint(pem)));
  return [...new Set(extra)].join('\n');
}

const fingerprint = (pem: string): string => new X509Certificate(pem).fingerprint256;
