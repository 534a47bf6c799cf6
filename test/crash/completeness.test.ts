import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Docker from 'dockerode';
import { expect, test } from 'vitest';
import { boxMachine } from '../../controller/src/box/machine.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import { alice, spec } from '../support/box-facts.ts';
import { runtimeWithFailpoints } from './failpoints.ts';
import { silent, storyOfCall, storyOfCommit, swept } from './names.ts';
import { duringCall, failAtRequests } from './request-failpoints.ts';

/** "Before and after every call on the engine and every commit": that none was forgotten, as the code is now. */

const { signal } = new AbortController();
const calls: Readonly<Record<keyof BoxRuntime, (port: BoxRuntime) => unknown>> = {
  list: (port) => port.list(signal),
  observe: (port) => port.observe(alice, { thorough: true }, signal),
  stats: (port) => port.stats('box-1', signal),
  homeUse: (port) => port.homeUse('box-1', '/home/spoon', signal),
  countExecs: (port) => port.countExecs('box-1', signal),
  image: (port) => port.image('box:1', signal),
  forgetImages: (port) => port.forgetImages(),
  home: (port) => port.home(alice),
  create: (port) => port.create({ user: alice, generation: 1, spec }, signal),
  start: (port) => port.start('box-1', signal),
  unpause: (port) => port.unpause('box-1', signal),
  rename: (port) => port.rename('box-1', 'spoon-box-alice', signal),
  probe: (port) => port.probe('box-1', { command: ['true'], timeout: 1_000 }, signal),
  writeVault: (port) => port.writeVault('box-1', { revision: 1, files: [], orders: [] }, signal),
  stop: (port) => port.stop('box-1', 1_000, signal),
  remove: (port) => port.remove('box-1', signal),
  pull: (port) => port.pull('box:1', () => {}, signal),
  ensureHome: (port) => port.ensureHome(alice, { uid: 1, gid: 1, image: 'box:1' }, signal),
  ensureNetwork: (port) => port.ensureNetwork(signal),
  removeLeftHelpers: (port) => port.removeLeftHelpers(signal),
  sessionMarks: (port) => port.sessionMarks('box-1', signal),
  runTool: (port) => port.runTool('box-1', { command: ['true'], timeoutMs: 1_000 }, signal),
  endSession: (port) => port.endSession('box-1', 's1', signal),
  follow: (port) => port.follow({ event: () => {}, gap: () => {}, down: () => {} }, signal),
};

test('every call of the port is passed before and after, but those that ask nothing of the engine, and the sweep’s', async () => {
  // Answers whatever is asked of it: what the type promises is not what this test is about.
  const inner = new Proxy({} as BoxRuntime, {
    get: (_target, name) => async () => (name === 'create' ? { id: 'box-1' } : []),
  });
  for (const [name, call] of Object.entries(calls)) {
    const passed: string[] = [];
    await call(runtimeWithFailpoints(inner, (failpoint) => void passed.push(failpoint)));
    const isSilent = [...silent, ...swept].some((one) => one === name);
    const wanted = isSilent ? [] : [`before ${name}`, `after ${name}`];
    expect(passed.filter((failpoint) => !failpoint.startsWith('amid '))).toEqual(wanted);
    expect(name in storyOfCall).toBe(!isSilent);
  }
});

test('every state that a commit can tell of has its story, with and without what it intends', () => {
  const states = Object.entries(boxMachine.states).flatMap(([phase, { states: steps }]) => {
    const names = Object.keys(steps);
    return names.length === 0 ? [phase] : names.map((step) => `${phase}/${step}`);
  });
  const told = new Set(Object.keys(storyOfCommit).map((kind) => kind.split(' ')[0]));
  expect([...told].toSorted()).toEqual(states.toSorted());
  for (const intent of ['drain', 'forget']) {
    expect(Object.keys(storyOfCommit).some((kind) => kind.endsWith(` ${intent}`))).toBe(true);
  }
});

test('every request on the engine is passed, by whichever way it is sent, and named after its call', async () => {
  const passed: string[] = [];
  failAtRequests((failpoint, user) => void passed.push(`${failpoint} of ${user}`));
  const docker = new Docker({ socketPath: '/nowhere/docker.sock' });
  const [id, none] = ['f'.repeat(64), (): null => null];
  await duringCall('newCall', 'alice', () => docker.getContainer(id).kill().catch(none));
  await docker.createContainer({ Image: 'a' }).catch(none);
  await docker.ping().catch(none);
  expect(passed).toEqual([
    'before newCall: POST /containers/…/kill of alice',
    'after newCall: POST /containers/…/kill of alice',
    'before start-up: POST /containers/create of null',
    'after start-up: POST /containers/create of null',
  ]);
});

test('there is no other way to the engine: nothing in the controller opens a connection of its own', () => {
  const root = new URL('../../controller/src', import.meta.url).pathname;
  for (const file of readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))) {
    const source = readFileSync(join(root, file), 'utf8');
    expect(source, file).not.toMatch(
      /import \{[^}]*\b(request|connect|createConnection)\b[^}]*\} from 'node:(http|net)'/,
    );
    // Credential helpers are programs, and no way to the engine.
    const others = file === 'runtime/registry-login.ts' ? /\bfetch\(/ : /\bfetch\(|child_process/;
    expect(source, file).not.toMatch(others);
  }
});
