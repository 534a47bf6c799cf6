import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { BoxClasses } from '#shared/box-class.ts';
import { exitConfig, StartError } from '#shared/faults.ts';
import { type ClassOverrides, loadClasses } from '#shared/classes.ts';

const good = `name: default
image: spoonbox/box:latest
user: { uid: 1000, gid: 1001, home: /home/spoon }
shell: [/bin/bash]
command: [sleep, infinity]
limits:
  memory: 4GiB
  cpus: 1.5
  pids: 256
security: { capabilities: [] }
idle:
  detached: 30m
  attached: 8h
stopGrace: 1500ms
readiness: { command: [/bin/true], timeout: 10s }
`;
const asFiles: ClassOverrides = { boxImage: null, boxIdleMs: null };
let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'spoonbox-classes-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function load(text: string, overrides = asFiles, file = 'default.yaml'): BoxClasses {
  writeFileSync(join(folder, file), text);
  return loadClasses(folder, overrides);
}

/** The lines of the one error, with the folder left out. */
function problemsOf(text: string, file = 'default.yaml'): string[] {
  try {
    load(text, asFiles, file);
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    expect(error.exitCode).toBe(exitConfig);
    return error.message
      .replaceAll(`${folder}/`, '')
      .split('\n')
      .slice(1)
      .map((line) => line.trim());
  }
  throw new Error('the class was taken');
}

test('a class is read, with sizes in bytes, times in ms, and a default for every field that has one', () => {
  expect(load(good).get('default')).toEqual({
    name: 'default',
    description: '',
    image: 'spoonbox/box:latest',
    pullPolicy: 'IfNotPresent',
    user: { uid: 1000, gid: 1001, home: '/home/spoon' },
    shell: ['/bin/bash'],
    command: ['sleep', 'infinity'],
    environment: {},
    limits: { memory: 4 * 1024 ** 3, cpus: 1.5, pids: 256 },
    security: { capabilities: [], noNewPrivileges: true },
    idle: { detached: 1_800_000, attached: 28_800_000, giveWay: 60_000 },
    stopGrace: 1_500,
    home: {},
    terminal: { persist: 'none', record: 'off' },
    readiness: { command: ['/bin/true'], timeout: 10_000 },
    tools: [],
  });
});

test('a home may have a quota, in bytes', () => {
  expect(load(`${good}home: { quota: 20GiB }\n`).get('default')?.home).toEqual({ quota: 20 * 1024 ** 3 });
});

test('the class that comes with Spoonbox is good', () => {
  const shipped = loadClasses(join(import.meta.dirname, '../../manifests/classes'), asFiles);
  expect(shipped.get('default')).toMatchObject({ idle: { detached: 1_800_000 }, limits: { memory: 4 * 1024 ** 3 } });
});

describe('the environment replaces', () => {
  const other = good.replace('name: default', 'name: big').replace('box:latest', 'big:1');

  test('the image of the default class only', () => {
    writeFileSync(join(folder, 'big.yaml'), other);
    const classes = load(good, { ...asFiles, boxImage: 'mine:2' });
    expect([classes.get('default')?.image, classes.get('big')?.image]).toEqual(['mine:2', 'spoonbox/big:1']);
  });

  test('the idle time of every class, and nothing else of it', () => {
    writeFileSync(join(folder, 'big.yaml'), other);
    const classes = load(good, { ...asFiles, boxIdleMs: 5_000 });
    for (const name of ['default', 'big'])
      expect(classes.get(name)?.idle).toEqual({ detached: 5_000, attached: 28_800_000, giveWay: 60_000 });
  });
});

describe('what is wrong is said with file, line and field', () => {
  test.each([
    ['a size without a unit', 'memory: 4GiB', 'memory: 4', 'default.yaml:7: limits.memory: '],
    [
      'a time without a unit',
      'detached: 30m',
      'detached: "30"',
      'default.yaml:12: idle.detached: a duration is a whole number with a unit',
    ],
    ['a part of a number', 'pids: 256', 'pids: 2.5', 'default.yaml:9: limits.pids: '],
    ['a negative user id', 'uid: 1000', 'uid: -1', 'default.yaml:3: user.uid: '],
    ['a relative home', 'home: /home/spoon', 'home: spoon', 'default.yaml:3: user.home: an absolute path'],
    ['no command', '[sleep, infinity]', '[]', 'default.yaml:5: command: '],
    ['another pull policy', 'name: default', 'name: default\npullPolicy: Often', 'default.yaml:2: pullPolicy: '],
    ['a field that is missing', '  cpus: 1.5\n', '', 'default.yaml:6: limits.cpus: '],
    [
      'a field that is not known',
      '  cpus: 1.5',
      '  cpus: 1.5\n  swap: 1GiB',
      'default.yaml:9: limits.swap: is no field of a class',
    ],
    [
      'a top field that is not known',
      'stopGrace: 1500ms',
      'stopGrace: 1500ms\nidel: 3',
      'default.yaml:15: idel: is no field of a class',
    ],
    [
      "a name that is not the file's",
      'name: default',
      'name: other',
      'default.yaml:1: name: is other, so the file must be other.yaml',
    ],
    [
      'a field given twice',
      'stopGrace: 1500ms',
      'stopGrace: 1s\nstopGrace: 1s',
      'default.yaml:15: Map keys must be unique',
    ],
    ['no YAML', 'name: default', 'name: [default', 'default.yaml:'],
    ['an alias that leads nowhere', 'name: default', 'name: *nowhere', 'default.yaml:1: '],
  ])('%s', (_what, from, to, problem) => {
    expect(good).toContain(from);
    expect(problemsOf(good.replace(from, to))[0]).toContain(problem);
  });

  test('an empty file', () => {
    expect(problemsOf('')[0]).toContain('default.yaml:1: class: ');
  });

  test('all problems of all files at once', () => {
    writeFileSync(join(folder, 'big.yaml'), good.replace('4GiB', '4').replace('name: default', 'name: big'));
    const problems = problemsOf(good.replace('4GiB', 'much').replace('1500ms', 'soon'));
    expect(problems.map((line) => line.split(' ')[0])).toEqual(['big.yaml:7:', 'default.yaml:7:', 'default.yaml:14:']);
  });

  test('no default class', () => {
    expect(problemsOf(good.replace('name: default', 'name: big'), 'big.yaml')[0]).toContain('has no default.yaml');
  });

  test('a folder or a file that cannot be read', () => {
    expect(() => loadClasses(join(folder, 'nowhere'), asFiles)).toThrow(/nowhere cannot be read/);
    mkdirSync(join(folder, 'default.yaml'));
    expect(() => loadClasses(folder, asFiles)).toThrow(/default.yaml cannot be read/);
  });
});
