import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { runCommand, which } from './command.ts';
import type { Step } from './steps.ts';

const lockTimeoutS = 300;
const servicePolicy = '/usr/sbin/policy-rc.d';

let listsFetched = false;

/** Why this machine cannot install Debian packages by itself, in half a sentence; nothing where it can. */
export function whyNoInstall(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can install it';
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  if (!/^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release) || which('apt-get') === undefined) {
    return 'packages are installed on Debian and Ubuntu only';
  }
  return undefined;
}

/**
 * Installs Debian packages. Their services are held back meanwhile: what we need of them we start ourselves.
 * Not interruptible: a package manager cut off half-way leaves a machine that somebody has to repair.
 */
export async function installPackages(packages: readonly string[], step: Step): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const onLine = (line: string): void => step.progress(`apt-get: ${line}`);
  const wait = ['-o', `DPkg::Lock::Timeout=${lockTimeoutS}`];
  if (!listsFetched) {
    step.progress('apt-get update');
    await runCommand('apt-get', ['update', ...wait], { env, onLine });
    listsFetched = true;
  }
  const ownPolicy = !existsSync(servicePolicy);
  if (ownPolicy) writeFileSync(servicePolicy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    step.progress(`apt-get install ${packages.join(' ')}`);
    await runCommand('apt-get', ['install', '-y', '--no-install-recommends', ...wait, ...packages], { env, onLine });
  } finally {
    if (ownPolicy) rmSync(servicePolicy, { force: true });
  }
}
