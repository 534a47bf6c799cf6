import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseClass } from '#shared/classes.ts';

/** Rules that the Dockerfiles of boxes keep, where their images cannot be built. */

const images = new URL('../../manifests/images', import.meta.url).pathname;
const boxes = readdirSync(images).filter(
  (name) => existsSync(join(images, name, 'Dockerfile')) && name.startsWith('box'),
);
const classes: Readonly<Record<string, string>> = {
  box: '../classes/default.yaml',
  'box-fedora': 'box-fedora/spoon.yaml',
};

interface Instruction {
  readonly name: string;
  readonly value: string;
}

/** Instructions in their order, with continued lines joined, and arguments that have a default put in. */
function instructionsOf(dockerfile: string): Instruction[] {
  const joined = dockerfile.replace(/^\s*#.*\n/gm, '').replace(/\\\n\s*/g, ' ');
  const lines = joined.split('\n').filter((line) => line.trim() !== '');
  const defaults = new Map<string, string>();
  return lines.map((line) => {
    const [, name = '', value = ''] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
    const [argument = '', preset] = value.split('=');
    if (name === 'ARG' && preset !== undefined) defaults.set(argument, preset);
    return { name, value: value.replace(/\$\{(\w+)\}/g, (whole, variable) => defaults.get(variable) ?? whole) };
  });
}

const valuesOf = (of: readonly Instruction[], name: string): string[] =>
  of.filter((one) => one.name === name).map(({ value }) => value);

test('every image of a box has a class that it is for', () => {
  expect(boxes.toSorted()).toEqual(Object.keys(classes).toSorted());
});

describe.each(boxes)('the image %s', (name) => {
  const folder = join(images, name);
  const instructions = instructionsOf(readFileSync(join(folder, 'Dockerfile'), 'utf8'));
  const runs = valuesOf(instructions, 'RUN');
  const classFile = join(images, classes[name] ?? '');
  const parsed = parseClass(readFileSync(classFile, 'utf8'), classFile);

  test('names its base by a tag other than latest, or by a digest', () => {
    for (const base of valuesOf(instructions, 'FROM')) {
      expect(base).toMatch(/(:[^:/@]+|@sha256:[0-9a-f]{64})$/);
      expect(base).not.toMatch(/:latest$/);
    }
  });

  test('takes nothing from the net without a checksum, but packages of its package managers', () => {
    expect(valuesOf(instructions, 'ADD')).toEqual([]);
    for (const run of runs) if (/\b(curl|wget)\s+-/.test(run)) expect(run).toMatch(/sha256sum --check --strict/);
    for (const run of runs) expect(run).not.toMatch(/\|\s*(ba)?sh\b/);
    expect(runs.join('\n')).not.toMatch(/npm install\b(?!.*@\d+\.\d+\.\d+)/);
  });

  test('leaves no caches of a package manager in a layer', () => {
    for (const run of runs) {
      if (/\bapt-get install\b/.test(run)) expect(run).toMatch(/rm -rf \/var\/lib\/apt\/lists/);
      if (/\bdnf install\b/.test(run)) expect(run).toMatch(/dnf clean all/);
      if (/\bnpm install\b/.test(run)) expect(run).toMatch(/npm cache clean/);
    }
  });

  test('says what it is, and does not end as root', () => {
    const labels = valuesOf(instructions, 'LABEL').join(' ');
    for (const label of ['title', 'description', 'licenses'])
      expect(labels).toContain(`org.opencontainers.image.${label}=`);
    expect(valuesOf(instructions, 'USER').at(-1)).toBe('spoon');
    expect(valuesOf(instructions, 'ENV').join(' ')).not.toMatch(/TOKEN|SECRET|PASSWORD|KEY/);
  });

  test('has what it copies, in a syntax that shells read', () => {
    for (const copied of valuesOf(instructions, 'COPY')) {
      expect(existsSync(join(folder, copied.split(' ')[0] ?? '')), copied).toBe(true);
    }
    expect(runs.map((run) => spawnSync('sh', ['-n', '-c', run], { encoding: 'utf8' }).stderr)).toEqual(
      runs.map(() => ''),
    );
    expect(spawnSync('bash', ['-n', join(folder, 'bash.bashrc')], { encoding: 'utf8' }).stderr).toBe('');
    expect(spawnSync('sh', ['-n', join(folder, 'bash_login.sh')], { encoding: 'utf8' }).stderr).toBe('');
    const login = readFileSync(join(images, 'box/bash_login.sh'), 'utf8');
    expect(readFileSync(join(folder, 'bash_login.sh'), 'utf8')).toBe(login);
    // Invisible, and the same everywhere: what gateways find in it does not depend on the image.
    const tmux = readFileSync(join(images, 'box/tmux.conf'), 'utf8');
    expect(readFileSync(join(folder, 'tmux.conf'), 'utf8')).toBe(tmux);
  });

  test('has the user, the home and the programs of its class', () => {
    if ('problems' in parsed) throw new Error(parsed.problems.join('\n'));
    const { user, shell, terminal, tools } = parsed.class;
    const all = runs.join('\n');
    expect(all).toContain(`groupadd --gid ${user.gid} `);
    expect(all).toContain(`useradd --uid ${user.uid} --gid ${user.gid} --home-dir ${user.home} `);
    expect(valuesOf(instructions, 'WORKDIR').at(-1)).toBe(user.home);
    expect(valuesOf(instructions, 'ENV').join(' ')).toContain(`SHELL=${shell[0]}`);
    const wanted = [...tools.map(({ command }) => command[0]), ...(terminal.persist === 'tmux' ? ['tmux'] : [])];
    for (const program of wanted) expect(all).toMatch(new RegExp(`[ /@]${program}(-core)?[ @"]`));
  });
});

test('the class of Spoon’s own box ends its terminals as the default one does', () => {
  const commandOf = (file: string): readonly string[] => {
    const parsed = parseClass(readFileSync(join(images, file), 'utf8'), file);
    if ('problems' in parsed) throw new Error(parsed.problems.join('\n'));
    return parsed.class.command;
  };
  expect(commandOf('box-fedora/spoon.yaml')).toEqual(commandOf('../classes/default.yaml'));
});
