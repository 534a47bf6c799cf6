import { expect, test } from 'vitest';
import { networkNameOf } from '#shared/identity.ts';
import type { BoxSpec } from '../../controller/src/box/observed.ts';
import { differingFields, specOf } from '../../controller/src/box/spec.ts';
import { alice, boxClass, imageId, installation, spec } from '../support/box-facts.ts';

const network = networkNameOf(installation);
const options = { user: alice, boxClass, imageId, homesDir: '/srv/homes', network };

test('a spec says all that a box is made from', () => {
  expect(specOf(options)).toEqual({
    ...{ class: 'default', imageId, command: ['sleep', 'infinity'], uid: 1000, gid: 1000, network },
    environment: { HOME: '/home/spoon', SPOONBOX_USER: 'alice', SHELL: '/bin/bash' },
    ...{ homeSource: '/srv/homes/alice', homeTarget: '/home/spoon' },
    ...{ memoryBytes: 1024 ** 3, cpus: 1, pids: 256, capabilities: [], noNewPrivileges: true, stopGraceMs: 10_000 },
  });
});

test('the class has the last word on the environment, and the order of its capabilities does not count', () => {
  const security = { ...boxClass.security, capabilities: ['SETUID', 'CHOWN'] };
  const made = specOf({
    ...options,
    boxClass: { ...boxClass, security, environment: { SHELL: '/bin/zsh', TERM: 'x' } },
  });
  expect(made.environment).toEqual({ HOME: '/home/spoon', SPOONBOX_USER: 'alice', SHELL: '/bin/zsh', TERM: 'x' });
  expect(made.capabilities).toEqual(['CHOWN', 'SETUID']);
  expect(security.capabilities).toEqual(['SETUID', 'CHOWN']);
});

test('a difference is told by the name of its field, and by no other', () => {
  const others: BoxSpec = {
    ...{ class: 'big', imageId: 'sha256:2', command: ['sleep', '1'], environment: { A: '1' }, uid: 1, gid: 2 },
    ...{ homeSource: '/a', homeTarget: '/b', memoryBytes: 1, cpus: 2, pids: 3, capabilities: ['CHOWN'] },
    ...{ noNewPrivileges: false, stopGraceMs: 1, network: 'n' },
  };
  for (const [field, value] of Object.entries(others)) {
    expect(differingFields(spec, { ...spec, [field]: value })).toEqual([field]);
    expect(differingFields({ ...spec, [field]: value }, spec)).toEqual([field]);
  }
  expect(differingFields(spec, others)).toHaveLength(Object.keys(spec).length);
  expect(differingFields(spec, structuredClone(spec))).toEqual([]);
});

test('of lists the order counts, of an environment it does not, and what is missing is a difference in both', () => {
  const differs = (field: 'command' | 'environment', left: unknown, right: unknown): boolean =>
    differingFields({ ...spec, [field]: left }, { ...spec, [field]: right }).length > 0;
  expect(differs('command', ['a', 'b'], ['b', 'a'])).toBe(true);
  expect(differs('command', ['a'], ['a', 'b'])).toBe(true);
  expect(differs('command', ['a', 'b'], ['a'])).toBe(true);
  expect(differs('environment', { A: '1', B: '2' }, { B: '2', A: '1' })).toBe(false);
  expect(differs('environment', { A: '1', B: '2' }, { A: '1', B: '3' })).toBe(true);
  expect(differs('environment', { A: '1' }, { A: '1', B: '2' })).toBe(true);
  expect(differs('environment', { A: '1' }, { B: '1' })).toBe(true);
  // A label holds what somebody wrote into it.
  expect(differs('environment', {}, [])).toBe(true);
  expect(differs('environment', { 0: 'a' }, ['a'])).toBe(true);
  expect(differs('environment', null, {})).toBe(true);
  expect(differs('environment', {}, null)).toBe(true);
  expect(differs('environment', 'a', { 0: 'a' })).toBe(true);
});
