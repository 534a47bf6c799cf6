import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boxNameOf, type UserName } from '#shared/identity.ts';
import type { BoxSpec } from '../../controller/src/box/observed.ts';
import type { BoxRuntime, RuntimeEvent } from '../../controller/src/runtime/port.ts';
import {
  type Behaviour,
  faultOf,
  never,
  newUser,
  plainSpec,
  type RuntimeHarness,
  startListening,
} from './box-runtime-harness.ts';

/** What every adapter of the port promises, pinned on the real engine first. */
export function boxRuntimeContract(name: string, makeHarness: () => Promise<RuntimeHarness>): void {
  describe(name, () => {
    let harness: RuntimeHarness;
    let runtime: BoxRuntime;

    beforeAll(async () => {
      harness = await makeHarness();
      runtime = harness.runtime;
      await runtime.ensureNetwork(never);
    });
    afterAll(() => harness?.dispose());

    function specFor(user: UserName, changes: Partial<BoxSpec> = {}): BoxSpec {
      return plainSpec(harness, user, changes);
    }

    /** A box that was created, with a home, and not started. */
    async function createBox(behaviour: Behaviour = 'ends-on-term', changes: Partial<BoxSpec> = {}) {
      const user = newUser();
      await harness.hands.makeHome(user);
      const spec = specFor(user, { command: harness.commands[behaviour], ...changes });
      const { id } = await runtime.create({ user, generation: 7, spec }, never);
      return { user, id, spec };
    }

    async function startBox(behaviour: Behaviour = 'ends-on-term', changes: Partial<BoxSpec> = {}) {
      const box = await createBox(behaviour, changes);
      if (behaviour === 'exits-with-3') await runtime.start(box.id, never);
      else await startListening(harness, box.id);
      return box;
    }

    async function look(user: UserName) {
      return await runtime.observe(user, { thorough: true }, never);
    }

    describe('looking', () => {
      test('a user without a container has nothing to observe', async () => {
        expect(await look(newUser())).toEqual([]);
      });

      test('a created box is shown with all that its labels say', async () => {
        const { user, id, spec } = await createBox();
        const [view, ...others] = await look(user);
        expect(others).toEqual([]);
        expect(view).toMatchObject({
          ...{ id, name: boxNameOf(user), state: 'created', installation: harness.installation, role: 'box', user },
          ...{ generation: 7, spec, imageId: harness.image.id, exitCode: null, oomKilled: false },
        });
        expect(view?.createdAtS).toBeGreaterThan(1_600_000_000);
      });

      test('the list shows the same as a look at one user', async () => {
        const { user } = await startBox();
        const listed = (await runtime.list(never)).filter((view) => view.user === user);
        expect(listed).toEqual(await look(user));
      });

      test('a box that was renamed by hand is still found, by a thorough look and by one that misses the name', async () => {
        const { user, id } = await startBox();
        await harness.hands.rename(id, `renamed-${user}`);
        for (const thorough of [true, false]) {
          const views = await runtime.observe(user, { thorough }, never);
          expect(views).toMatchObject([{ id, name: `renamed-${user}`, user, state: 'running' }]);
        }
        await runtime.rename(id, boxNameOf(user), never);
        expect(await look(user)).toMatchObject([{ id, name: boxNameOf(user) }]);
      });

      test('a second box that was made by renaming is found by a thorough look only', async () => {
        const { user, id, spec } = await startBox();
        await harness.hands.rename(id, `renamed-${user}`);
        const second = await runtime.create({ user, generation: 8, spec }, never);
        await runtime.start(second.id, never);
        expect((await look(user)).map((view) => view.id).toSorted()).toEqual([id, second.id].toSorted());
        expect(await runtime.observe(user, { thorough: false }, never)).toMatchObject([{ id: second.id }]);
      });

      test("somebody else's container under a box's name is shown as not ours, in a look and in the list", async () => {
        const user = newUser();
        const id = await harness.hands.createForeign(boxNameOf(user));
        const foreign = { id, name: boxNameOf(user), installation: '', role: '', user: '', generation: 0, spec: null };
        expect(await look(user)).toMatchObject([foreign]);
        const listed = await runtime.list(never);
        expect(listed.filter((view) => view.id === id)).toMatchObject([foreign]);
      });

      test("somebody else's container under another name is not listed", async () => {
        const id = await harness.hands.createForeign(`other-${newUser()}`);
        expect((await runtime.list(never)).filter((view) => view.id === id)).toEqual([]);
      });

      test('only execs that run are counted', async () => {
        const { id } = await startBox();
        expect(await runtime.countExecs(id, never)).toBe(0);
        await harness.hands.startExec(id, harness.probes.hangs);
        await harness.hands.startExec(id, harness.probes.hangs);
        await runtime.probe(id, { command: harness.probes.succeeds, timeout: 10_000 }, never);
        expect(await runtime.countExecs(id, never)).toBe(2);
      });

      test('what a box uses is told while it runs, also while it is paused, and is a conflict when it does not', async () => {
        const { id, spec } = await startBox();
        const first = await runtime.stats(id, never);
        expect(first).toMatchObject({ memoryLimitBytes: spec.memoryBytes });
        expect(first.memoryBytes).toBeGreaterThan(0);
        expect(first.memoryBytes).toBeLessThan(spec.memoryBytes);
        expect(first.pids).toBeGreaterThanOrEqual(1);
        await new Promise((resolve) => setTimeout(resolve, 20));
        await harness.hands.pause(id);
        const second = await runtime.stats(id, never);
        expect(second.readAtMs).toBeGreaterThan(first.readAtMs);
        expect(second.cpuNs).toBeGreaterThanOrEqual(first.cpuNs);
        await runtime.unpause(id, never);
        await runtime.stop(id, 5_000, never);
        expect(await faultOf(runtime.stats(id, never))).toMatchObject({ kind: 'conflict', operation: 'stats' });
      });

      test('an image that is there has its id, one that is not is absent', async () => {
        expect(await runtime.image(harness.image.reference, never)).toEqual({ state: 'present', id: harness.image.id });
        expect(await runtime.image('spoonbox.invalid/none:1', never)).toEqual({ state: 'absent' });
      });
    });

    describe('writing a vault', () => {
      const vault = {
        ...{ revision: 7, orders: [] },
        files: [{ path: '.bashrc', mode: 0o644, content: Buffer.from('alias ll="ls -l"\n') }],
      };

      test('a box that runs takes it, and says what became of it', async () => {
        const user = newUser();
        await runtime.ensureHome(user, { uid: 1000, gid: 1000, image: harness.image.id }, never);
        const spec = specFor(user, { environment: { HOME: '/home/spoon' } });
        const { id } = await runtime.create({ user, generation: 7, spec }, never);
        expect(await faultOf(runtime.writeVault(id, vault, never))).toMatchObject({ kind: 'conflict' });
        await runtime.start(id, never);
        for (const revision of [7, 8]) {
          const written = await runtime.writeVault(id, { ...vault, revision }, never);
          expect(written).toEqual({ revision, drift: [], failed: [] });
        }
      });

      test('a box that is gone is not found', async () => {
        const { id } = await createBox();
        await runtime.remove(id, never);
        expect(await faultOf(runtime.writeVault(id, vault, never))).toMatchObject({ kind: 'not-found' });
      });
    });

    describe('creating', () => {
      test('the name is the lock: a second create of the same box is a conflict, and changes nothing', async () => {
        const { user, id, spec } = await createBox();
        const fault = await faultOf(runtime.create({ user, generation: 8, spec }, never));
        expect(fault).toMatchObject({ kind: 'conflict', operation: 'create', status: 409 });
        expect(fault.message).toContain(boxNameOf(user));
        expect(await look(user)).toMatchObject([{ id, generation: 7 }]);
      });

      test('of eight creates at once one wins, and the others are conflicts', async () => {
        const user = newUser();
        await harness.hands.makeHome(user);
        const attempts = Array.from({ length: 8 }, () =>
          runtime.create({ user, generation: 1, spec: specFor(user) }, never),
        );
        const ends = await Promise.allSettled(attempts);
        expect(ends.filter((end) => end.status === 'fulfilled')).toHaveLength(1);
        for (const end of ends) {
          if (end.status === 'rejected') expect(end.reason.fault).toMatchObject({ kind: 'conflict' });
        }
        expect(await look(user)).toHaveLength(1);
      });

      test('a home that is missing is refused, and not made', async () => {
        const user = newUser();
        const fault = await faultOf(runtime.create({ user, generation: 1, spec: specFor(user) }, never));
        expect(fault).toMatchObject({ kind: 'invalid', operation: 'create', status: 400 });
        expect(await runtime.home(user)).toEqual({ state: 'absent' });
        expect(await look(user)).toEqual([]);
      });

      test('an image that is missing is not found', async () => {
        const user = newUser();
        await harness.hands.makeHome(user);
        const spec = specFor(user, { imageId: `sha256:${'0'.repeat(64)}` });
        const fault = await faultOf(runtime.create({ user, generation: 1, spec }, never));
        expect(fault).toMatchObject({ kind: 'not-found', operation: 'create', status: 404 });
      });
    });

    describe('starting', () => {
      test('a box runs, and starting it again is no fault', async () => {
        const { user, id } = await createBox();
        await runtime.start(id, never);
        await runtime.start(id, never);
        expect(await look(user)).toMatchObject([{ state: 'running', exitCode: null }]);
      });

      test('a box whose network is missing is not found, and stays where it was', async () => {
        const { user, id } = await createBox('ends-on-term', { network: 'spoonbox-none' });
        const fault = await faultOf(runtime.start(id, never));
        expect(fault).toMatchObject({ kind: 'not-found', operation: 'start', status: 404 });
        expect(await look(user)).toMatchObject([{ id, state: 'created' }]);
      });

      test('a box that ended by itself shows its exit code', async () => {
        const { user } = await startBox('exits-with-3');
        await expect.poll(() => look(user)).toMatchObject([{ state: 'exited', exitCode: 3 }]);
      });

      test('a paused box goes on after unpause', async () => {
        const { user, id } = await startBox();
        await harness.hands.pause(id);
        expect(await look(user)).toMatchObject([{ state: 'paused' }]);
        await runtime.unpause(id, never);
        expect(await look(user)).toMatchObject([{ state: 'running' }]);
      });
    });

    describe('probing', () => {
      test('a readiness command that exits 0 is success', async () => {
        const { id } = await startBox();
        await runtime.probe(id, { command: harness.probes.succeeds, timeout: 10_000 }, never);
      });

      test('one that fails is a fault that says how it ended', async () => {
        const { id } = await startBox();
        const fault = await faultOf(runtime.probe(id, { command: harness.probes.fails, timeout: 10_000 }, never));
        expect(fault).toMatchObject({ kind: 'failed', operation: 'probe' });
        expect(fault.message).toMatch(/exit code 4: not ready/);
      });

      test('one that does not end is a timeout', async () => {
        const { id } = await startBox();
        const fault = await faultOf(runtime.probe(id, { command: harness.probes.hangs, timeout: 500 }, never));
        expect(fault).toMatchObject({ kind: 'timeout', operation: 'probe', status: null });
      });

      test('in a box that does not run it is a conflict', async () => {
        const { id } = await createBox();
        const fault = await faultOf(runtime.probe(id, { command: harness.probes.succeeds, timeout: 10_000 }, never));
        expect(fault).toMatchObject({ kind: 'conflict', operation: 'probe', status: 409 });
      });
    });

    describe('stopping and removing', () => {
      test('a box that listens to TERM ends before its grace', async () => {
        const { user, id } = await startBox();
        await runtime.stop(id, 20_000, never);
        // One that was killed at the end of its grace has 137.
        expect(await look(user)).toMatchObject([{ state: 'exited', exitCode: 0, oomKilled: false }]);
      });

      test('a deaf box gets its whole grace, then KILL', async () => {
        const { user, id } = await startBox('deaf');
        const begin = performance.now();
        await runtime.stop(id, 2_000, never);
        // A slow machine only makes it more.
        expect(performance.now() - begin).toBeGreaterThan(1_900);
        expect(await look(user)).toMatchObject([{ state: 'exited', exitCode: 137 }]);
      });

      test('stopping a box that does not run is success', async () => {
        const { user, id } = await createBox();
        await runtime.stop(id, 1_000, never);
        expect(await look(user)).toMatchObject([{ state: 'created' }]);
      });

      test('a stop that is aborted rejects with the reason, and what it began may still happen', async () => {
        const { user, id } = await startBox('deaf');
        const abort = new AbortController();
        const reason = new Error('the process drains');
        const stop = expect(runtime.stop(id, 3_000, abort.signal)).rejects.toBe(reason);
        await runtime.probe(id, { command: harness.probes.heard, timeout: 30_000 }, never);
        abort.abort(reason);
        await stop;
        await expect.poll(() => look(user), { timeout: 30_000 }).toMatchObject([{ state: 'exited' }]);
      });

      test('a running box is not removed: conflict', async () => {
        const { user, id } = await startBox();
        const fault = await faultOf(runtime.remove(id, never));
        expect(fault).toMatchObject({ kind: 'conflict', operation: 'remove', status: 409 });
        expect(await look(user)).toMatchObject([{ state: 'running' }]);
      });

      test('a stopped box is removed, and its home stays', async () => {
        const { user, id } = await startBox();
        await runtime.stop(id, 5_000, never);
        await runtime.remove(id, never);
        expect(await look(user)).toEqual([]);
        expect(await runtime.home(user)).toMatchObject({ state: 'present' });
      });

      test('a box that was killed by hand is exited with 137', async () => {
        const { user, id } = await startBox();
        await harness.hands.kill(id);
        await expect.poll(() => look(user)).toMatchObject([{ state: 'exited', exitCode: 137 }]);
      });

      test('everything on a container that is gone is not found', async () => {
        const id = 'f'.repeat(64);
        const readiness = { command: harness.probes.succeeds, timeout: 10_000 };
        const calls = {
          start: () => runtime.start(id, never),
          stop: () => runtime.stop(id, 1_000, never),
          remove: () => runtime.remove(id, never),
          unpause: () => runtime.unpause(id, never),
          rename: () => runtime.rename(id, 'spoon-box-nobody', never),
          probe: () => runtime.probe(id, readiness, never),
          countExecs: () => runtime.countExecs(id, never),
          stats: () => runtime.stats(id, never),
          homeUse: () => runtime.homeUse(id, '/home/spoon', never),
          sessionMarks: () => runtime.sessionMarks(id, never),
        };
        for (const [operation, call] of Object.entries(calls)) {
          expect(await faultOf(call())).toMatchObject({ kind: 'not-found', operation, status: 404 });
        }
      });
    });

    describe('sessions', () => {
      test('those that run are told, and one is ended without the others', async () => {
        const { id } = await startBox();
        expect(await runtime.sessionMarks(id, never)).toEqual([]);
        await harness.hands.startShell(id, 'sOne');
        await harness.hands.startShell(id, 'sTwo');
        await harness.hands.startShell(id, 'sTwo');
        await harness.hands.startExec(id, harness.probes.hangs);
        await expect.poll(() => marksOf(id)).toEqual(['sOne', 'sTwo']);
        await runtime.endSession(id, 'sTwo', never);
        expect(await marksOf(id)).toEqual(['sOne']);
        await runtime.endSession(id, 'sTwo', never);
        expect(await runtime.countExecs(id, never)).toBe(2);
      });

      test('of a box that does not run they are not told, and are ended', async () => {
        const { id } = await createBox();
        const fault = await faultOf(runtime.sessionMarks(id, never));
        expect(fault).toMatchObject({ kind: 'conflict', operation: 'sessionMarks', status: 409 });
        await runtime.endSession(id, 'sOne', never);
        await runtime.endSession('f'.repeat(64), 'sOne', never);
      });
    });

    async function marksOf(id: string): Promise<string[]> {
      return (await runtime.sessionMarks(id, never)).toSorted();
    }

    describe('homes', () => {
      test('what one takes up is told from inside a box that runs, and from no other', async () => {
        const { id } = await startBox();
        const { usedBytes, isWhole } = await runtime.homeUse(id, '/home/spoon', never);
        expect([usedBytes % 1_024, isWhole]).toEqual([0, true]);
        const ended = await createBox();
        const fault = await faultOf(runtime.homeUse(ended.id, '/home/spoon', never));
        expect(fault).toMatchObject({ kind: 'conflict', operation: 'homeUse', status: 409 });
      });

      test('a missing home is made with its owner, and making it again changes nothing', async () => {
        const user = newUser();
        expect(await runtime.home(user)).toEqual({ state: 'absent' });
        const owner = { uid: 1000, gid: 1000, image: harness.image.id };
        await runtime.ensureHome(user, owner, never);
        expect(await runtime.home(user)).toEqual({ state: 'present', uid: 1000 });
        await runtime.ensureHome(user, { ...owner, uid: 1001, gid: 1001 }, never);
        expect(await runtime.home(user)).toEqual({ state: 'present', uid: 1000 });
      });

      test("a home that is still root's is given to its owner", async () => {
        const user = newUser();
        await harness.hands.makeHome(user);
        expect(await runtime.home(user)).toEqual({ state: 'present', uid: 0 });
        await runtime.ensureHome(user, { uid: 1000, gid: 1000, image: harness.image.id }, never);
        expect(await runtime.home(user)).toEqual({ state: 'present', uid: 1000 });
      });

      test('a link in the place of a home is refused', async () => {
        const user = newUser();
        await harness.hands.linkHome(user, '/tmp');
        expect(await runtime.home(user)).toMatchObject({ state: 'unusable' });
        const owner = { uid: 1000, gid: 1000, image: harness.image.id };
        const fault = await faultOf(runtime.ensureHome(user, owner, never));
        expect(fault).toMatchObject({ kind: 'failed', operation: 'ensureHome' });
        expect(fault.message).toContain('not a directory');
      });

      test('a network that is there is kept', async () => {
        await Promise.all([runtime.ensureNetwork(never), runtime.ensureNetwork(never)]);
      });
    });

    describe('following', () => {
      test('after the first gap, what happens to a box by hand is told for its user', async () => {
        const { user, id } = await startBox();
        const seen = follow();
        await expect.poll(() => seen.gaps).toBe(1);
        await harness.hands.kill(id);
        await expectNext(seen, user);
        await harness.hands.rename(id, `renamed-${user}`);
        await expectNext(seen, user);
        await harness.hands.removeByForce(id);
        await expectNext(seen, user);
        await seen.end();
      });

      test("somebody else's container is told while it takes or leaves a box's name", async () => {
        const user = newUser();
        const seen = follow();
        await expect.poll(() => seen.gaps).toBe(1);
        const id = await harness.hands.createForeign(boxNameOf(user));
        await expectNext(seen, user);
        await harness.hands.rename(id, `other-${user}`);
        await expectNext(seen, user);
        await seen.end();
      });

      test('execs are not told', async () => {
        const { user, id } = await startBox();
        const seen = follow();
        await expect.poll(() => seen.gaps).toBe(1);
        await runtime.probe(id, { command: harness.probes.succeeds, timeout: 10_000 }, never);
        await runtime.stop(id, 5_000, never);
        await expect.poll(() => countFor(seen, user)).toBeGreaterThan(0);
        // What a stop makes: die and stop.
        expect(countFor(seen, user)).toBeLessThanOrEqual(2);
        await seen.end();
      });

      test('an aborted call does not begin', async () => {
        const reason = new Error('the process drains');
        await expect(runtime.list(AbortSignal.abort(reason))).rejects.toBe(reason);
      });
    });

    function follow() {
      const abort = new AbortController();
      const reason = new Error('the test is over');
      const events: RuntimeEvent[] = [];
      const seen = { gaps: 0, downs: 0, events, end };
      const on = {
        event: (event: RuntimeEvent) => void events.push(event),
        gap: () => {
          seen.gaps += 1;
        },
        down: () => {
          seen.downs += 1;
        },
      };
      const ended = expect(runtime.follow(on, abort.signal)).rejects.toBe(reason);
      async function end(): Promise<void> {
        abort.abort(reason);
        await ended;
        expect(seen.downs).toBe(0);
      }
      return seen;
    }
  });
}

function countFor(seen: { events: RuntimeEvent[] }, user: UserName): number {
  return seen.events.filter((event) => event.type === 'box' && event.user === user).length;
}

/** Waits until the user was told of, and forgets what was told so far. */
async function expectNext(seen: { events: RuntimeEvent[] }, user: UserName): Promise<void> {
  await expect.poll(() => countFor(seen, user)).toBeGreaterThan(0);
  seen.events.length = 0;
}
