import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installPackages, whyNoInstall } from '../deploy/machine/apt.ts';
import { runCommand, which } from '../deploy/machine/command.ts';
import type { Engine } from '../deploy/machine/docker.ts';
import { Refusal } from '../deploy/machine/refusal.ts';
import type { Step } from '../deploy/machine/steps.ts';

const packages = ['debootstrap', 'debian-archive-keyring'];
const mirror = 'http://deb.debian.org/debian';
const securityMirror = 'http://deb.debian.org/debian-security';

/** As in the public image: neither manuals nor foreign texts. */
const slim = `path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/man/*
path-exclude /usr/share/info/*
path-exclude /usr/share/locale/*
path-include /usr/share/locale/locale.alias
`;

/** Makes a Debian image under the name of the public one, from Debian's own packages, where no registry can be reached. */
export async function importStandIn(
  engine: Engine,
  name: string,
  mayInstall: boolean,
  step: Step,
  signal: AbortSignal,
): Promise<void> {
  const [, repo, suite] = /^([^:]+):([a-z]+)-slim$/.exec(name) ?? [];
  if (repo === undefined || suite === undefined)
    throw new Refusal(`there is no stand-in for ${name}, only for debian:SUITE-slim`);
  const why =
    !mayInstall && which('debootstrap') === undefined ? '--no-install forbids to install debootstrap' : whyNoInstall();
  if (why !== undefined) {
    throw new Refusal(
      `no stand-in for ${name} can be made (${why}): bring the image here with \`docker load\`, or allow the pull`,
    );
  }
  if (!engine.isLocal)
    throw new Refusal(
      `no stand-in for ${name} can be made for a remote engine: bring the image there with \`docker load\``,
    );
  if (which('debootstrap') === undefined) await installPackages(packages, step);

  const dir = mkdtempSync(join(tmpdir(), 'spoonbox-stand-in-'));
  try {
    const onLine = (line: string): void => step.progress(`debootstrap: ${line}`);
    await runCommand('debootstrap', ['--variant=minbase', suite, dir, mirror], { onLine }, signal);
    makeSlim(dir, suite);
    step.progress(`importing ${name}`);
    await importDirectory(engine, dir, { repo, tag: `${suite}-slim` }, signal);
  } finally {
    // A debootstrap cut off half-way may have left these mounted, and what is below them is the machine's own.
    for (const mounted of ['proc', 'sys', 'dev']) await unmount(join(dir, mounted));
    rmSync(dir, { recursive: true, force: true });
  }
}

function makeSlim(dir: string, suite: string): void {
  for (const part of ['usr/share/doc', 'usr/share/man', 'usr/share/info', 'var/cache/apt', 'var/lib/apt/lists']) {
    rmSync(join(dir, part), { recursive: true, force: true });
    mkdirSync(join(dir, part), { recursive: true });
  }
  mkdirSync(join(dir, 'etc/dpkg/dpkg.cfg.d'), { recursive: true });
  writeFileSync(join(dir, 'etc/dpkg/dpkg.cfg.d/docker'), slim);
  appendFileSync(
    join(dir, 'etc/apt/sources.list'),
    `deb ${mirror} ${suite}-updates main\ndeb ${securityMirror} ${suite}-security main\n`,
  );
}

async function importDirectory(
  engine: Engine,
  dir: string,
  name: { readonly repo: string; readonly tag: string },
  signal: AbortSignal,
): Promise<void> {
  const tar = spawn('tar', ['--numeric-owner', '-C', dir, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'], signal });
  const ended = new Promise<number | null>((resolve, reject) => {
    tar.once('error', reject);
    tar.once('close', resolve);
  });
  const changes = ['CMD ["bash"]', 'LABEL dev.spoonbox.stand-in=true'];
  const [code] = await Promise.all([ended, engine.importImage(tar.stdout, name, changes, signal)]);
  if (code !== 0) throw new Refusal(`tar of ${dir} ended with ${code}`);
}

async function unmount(dir: string): Promise<void> {
  try {
    await runCommand('mountpoint', ['-q', dir], {});
  } catch {
    return; // not mounted, which is the rule
  }
  await runCommand('umount', ['--recursive', dir], {});
}
