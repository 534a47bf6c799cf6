import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { configTable } from '#shared/config.ts';
import { nodeFlags, nodeFlagsOf } from '#shared/node-flags.ts';
import { which } from '../../manifests/deploy/machine/command.ts';

const root = new URL('../../', import.meta.url).pathname;
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
const processes = ['controller', 'gateway', 'filter'] as const;
const unitOf = (name: string): string => `manifests/deploy/systemd/spoonbox-${name}.service`;
const drainS = Number(configTable().find(({ name }) => name === 'SPOON_DRAIN_MS')?.default) / 1_000;

const Services = z.object({
  services: z.record(
    z.string(),
    z.looseObject({ command: z.unknown().optional(), stop_grace_period: z.string().optional() }),
  ),
});

function service(name: string): z.infer<typeof Services>['services'][string] {
  const file = name === 'filter' ? 'manifests/deploy/compose.filter.yml' : 'compose.yml';
  const found = Services.parse(parse(read(file), { merge: true })).services[name];
  if (found === undefined) throw new Error(`${file} has no service ${name}`);
  return found;
}

/** All values of a key of a unit, which may be there several times. */
function valuesOf(unit: string, key: string): string[] {
  return [...read(unit).matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value);
}

test('the image starts Node as `npm start` does', () => {
  const [, entrypoint = ''] = /^ENTRYPOINT (.*)$/m.exec(read('manifests/images/spoonbox/Dockerfile')) ?? [];
  expect(JSON.parse(entrypoint)).toEqual(['node', ...nodeFlags]);
});

/** By name: what counts of the words that Node is started with. */
function lastOfEach(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(words.map((word) => [word.replace(/=.*/, ''), word]));
}

describe.each(processes)('the %s', (name) => {
  const unit = unitOf(name);

  test('is started alike by its unit, by compose and by `npm start`', () => {
    const [start = ''] = valuesOf(unit, 'ExecStart');
    const [, words = ''] = /^\/usr\/bin\/env (?:\w+=\S+ )?node (.*)$/.exec(start) ?? [];
    const script = words.split(' ').at(-1) ?? '';
    expect(words).toBe([...nodeFlagsOf(`${root}${script}`), script].join(' '));
    // The image has those of the controller, and the later one counts.
    const byCompose = [...nodeFlags, ...z.array(z.string()).parse(service(name).command)];
    expect(lastOfEach(byCompose)).toEqual(lastOfEach(words.split(' ')));
  });

  test('has more time to end than it takes to drain', () => {
    const [, graceS] = /:-(\d+)s\}$/.exec(service(name).stop_grace_period ?? '') ?? [];
    expect(Number(graceS)).toBeGreaterThan(drainS);
    expect(Number(valuesOf(unit, 'TimeoutStopSec')[0])).toBeGreaterThan(drainS);
  });

  test('may do by its unit what it has to, and is nobody', () => {
    const once = (key: string): string | undefined => valuesOf(unit, key)[0];
    expect(once('User')).toBe(name === 'gateway' ? 'spoonbox-gateway' : 'spoonbox');
    const written = { controller: ['/var/lib/spoonbox'], gateway: ['/var/lib/spoonbox/recordings'], filter: [] };
    expect(valuesOf(unit, 'ReadWritePaths')).toEqual(written[name]);
    for (const key of ['NoNewPrivileges', 'PrivateTmp', 'PrivateDevices', 'ProtectHome']) expect(once(key)).toBe('yes');
    expect([once('ProtectSystem'), once('CapabilityBoundingSet')]).toEqual(['strict', '']);
    // systemd gives all that is below a StateDirectory to the unit's user: the homes.
    expect(valuesOf(unit, 'StateDirectory')).toEqual([]);
    expect(valuesOf(unit, 'SupplementaryGroups')).toEqual(name === 'gateway' ? [] : ['docker']);
  });
});

test.skipIf(which('systemd-analyze') === undefined)('systemd finds nothing wrong with the units', () => {
  // What it warns of goes to standard error, with an exit code of 0.
  const units = processes.map((name) => `${root}${unitOf(name)}`);
  const verify = ['-c', 'exec systemd-analyze verify "$@" 2>&1', 'sh', ...units];
  const said = execFileSync('sh', verify, { encoding: 'utf8' });
  expect(said).toBe('');
});
