import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { boxNameOf, type UserName } from '#shared/identity.ts';
import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import { faultOf, never, newUser, plainSpec, type RuntimeHarness, startListening } from './box-runtime-harness.ts';

/**
 * What the port answers of a container in a state that an engine does not document: half made, half removed, stuck, waiting for
 * its restart, paused. Pinned on Docker 20.10; where later engines answer otherwise, as far as their sources say, both are let pass.
 */
export function boxRuntimeStates(name: string, makeHarness: () => Promise<RuntimeHarness>): void {
  describe(`${name}, of a container`, () => {
    let harness: RuntimeHarness;
    let runtime: BoxRuntime;

    beforeAll(async () => {
      harness = await makeHarness();
      runtime = harness.runtime;
      await runtime.ensureNetwork(never);
    });
    afterAll(() => harness?.dispose());

    async function startBox() {
      const user = newUser();
      await harness.hands.makeHome(user);
      const spec = plainSpec(harness, user);
      const { id } = await runtime.create({ user, generation: 1, spec }, never);
      await startListening(harness, id);
      return { user, id, spec };
    }
    const look = (user: UserName) => runtime.observe(user, { thorough: true }, never);
    async function listed(id: string) {
      return (await runtime.list(never)).filter((view) => view.id === id);
    }
    const probe = (id: string) => runtime.probe(id, { command: harness.probes.succeeds, timeout: 10_000 }, never);
    const conflict = { kind: 'conflict', status: 409 };

    test('that is still being made: its name is taken and it is listed, but nobody finds it', async () => {
      const user = newUser();
      await harness.hands.makeHome(user);
      const end = await harness.hands.beginCreate(boxNameOf(user));
      const box = { user, generation: 1, spec: plainSpec(harness, user) };
      const [fault, found, all] = await Promise.all([
        faultOf(runtime.create(box, never)),
        look(user),
        runtime.list(never),
      ]);
      const half = all.find((view) => view.name === boxNameOf(user));
      expect(half).toMatchObject({ state: 'created' });
      expect(fault).toMatchObject({ ...conflict, operation: 'create' });
      expect(found).toEqual([]);
      const faults = await Promise.all([
        faultOf(runtime.start(half?.id ?? '', never)),
        faultOf(runtime.remove(half?.id ?? '', never)),
        faultOf(runtime.rename(half?.id ?? '', `other-${user}`, never)),
        faultOf(probe(half?.id ?? '')),
      ]);
      // It was all along: the engine has not finished in between.
      expect(await look(user)).toEqual([]);
      for (const each of faults) expect(each).toMatchObject({ kind: 'not-found', status: 404 });
      const id = await end();
      expect(id).toBe(half?.id);
      expect(await look(user)).toMatchObject([{ id, state: 'created' }]);
    });

    test('that is being removed: it is neither started nor removed again, and its name is taken', async () => {
      const { user, id, spec } = await startBox();
      const end = await harness.hands.beginRemoval(id);
      const [views, list, start, remove, exec, create, unpause, execs] = await Promise.all([
        look(user),
        listed(id),
        faultOf(runtime.start(id, never)),
        faultOf(runtime.remove(id, never)),
        faultOf(probe(id)),
        faultOf(runtime.create({ user, generation: 2, spec }, never)),
        faultOf(runtime.unpause(id, never)),
        runtime.countExecs(id, never),
        runtime.stop(id, 1_000, never),
      ]);
      expect(views).toMatchObject([{ id, state: 'removing', exitCode: null }]);
      expect(list).toMatchObject([{ state: 'removing' }]);
      expect(start).toMatchObject({ ...conflict, operation: 'start' });
      expect(start.message).toContain('marked for removal');
      expect(remove).toMatchObject({ ...conflict, operation: 'remove' });
      expect(remove.message).toContain('already in progress');
      expect(exec).toMatchObject({ ...conflict, operation: 'probe' });
      expect(create).toMatchObject({ ...conflict, operation: 'create' });
      expect(['failed', 'conflict']).toContain(unpause.kind);
      expect(execs).toBe(0);
      expect(await look(user)).toMatchObject([{ state: 'removing' }]);
      await end();
      expect(await look(user)).toEqual([]);
      expect(await faultOf(runtime.remove(id, never))).toMatchObject({ kind: 'not-found', status: 404 });
    });

    test('that is being removed can be renamed, and then another takes its name', async () => {
      const { user, id, spec } = await startBox();
      const end = await harness.hands.beginRemoval(id);
      await runtime.rename(id, `gone-${user}`, never);
      const second = await runtime.create({ user, generation: 2, spec }, never);
      await end();
      expect(await look(user)).toMatchObject([{ id: second.id, name: boxNameOf(user), state: 'created' }]);
    });

    test('that could not be removed is dead, is listed as being removed, and goes with the next try', async ({
      skip,
    }) => {
      const { user, id } = await startBox();
      await runtime.stop(id, 5_000, never);
      const unblock = await harness.hands.blockRemoval(id);
      if (unblock === null) return skip('this engine cannot be kept from removing a container');
      try {
        expect(await faultOf(runtime.remove(id, never))).toMatchObject({ kind: 'failed', status: 500 });
        expect(await look(user)).toMatchObject([{ id, name: boxNameOf(user), state: 'dead', exitCode: 0 }]);
        expect(await listed(id)).toMatchObject([{ state: 'removing' }]);
        expect(await faultOf(runtime.start(id, never))).toMatchObject({ ...conflict, operation: 'start' });
        expect(await faultOf(probe(id))).toMatchObject({ ...conflict, operation: 'probe' });
        await runtime.stop(id, 1_000, never);
        expect(await faultOf(runtime.remove(id, never))).toMatchObject({ kind: 'failed', status: 500 });
        expect(await look(user)).toMatchObject([{ state: 'dead' }]);
      } finally {
        await unblock();
      }
      await runtime.remove(id, never);
      expect(await look(user)).toEqual([]);
    });

    test('that waits for its restart: it counts as running, is left alone, and a stop ends that', async () => {
      const user = newUser();
      const id = await harness.hands.createRestarting(boxNameOf(user));
      const [views, list, remove, exec, unpause] = await Promise.all([
        look(user),
        listed(id),
        faultOf(runtime.remove(id, never)),
        faultOf(probe(id)),
        faultOf(runtime.unpause(id, never)),
        // "Already so": it is not started one time more.
        runtime.start(id, never),
      ]);
      // By itself: while the engine refuses it, lists may lack the container.
      const renamed = await runtime.rename(id, `other-${user}`, never).then(
        () => true,
        () => false,
      );
      expect(views).toMatchObject([{ id, state: 'restarting', exitCode: null }]);
      expect(list).toMatchObject([{ state: 'restarting' }]);
      expect(remove).toMatchObject({ ...conflict, operation: 'remove' });
      expect(exec).toMatchObject({ ...conflict, operation: 'probe' });
      expect(exec.message).toContain('is restarting');
      expect(['failed', 'conflict']).toContain(unpause.kind);
      // Refused with 404, "sandbox not found", and nothing is renamed.
      expect(renamed).toBe(false);
      await runtime.stop(id, 1_000, never);
      expect(await look(user)).toMatchObject([{ id, name: boxNameOf(user), state: 'exited', exitCode: 3 }]);
      await runtime.remove(id, never);
      expect(await look(user)).toEqual([]);
    });

    test('that is paused: it is neither started, entered nor removed', async () => {
      const { user, id } = await startBox();
      await harness.hands.pause(id);
      const [start, remove, exec] = await Promise.all([
        faultOf(runtime.start(id, never)),
        faultOf(runtime.remove(id, never)),
        faultOf(probe(id)),
      ]);
      expect(start).toMatchObject({ ...conflict, operation: 'start' });
      expect(start.message).toContain('unpause');
      expect(remove).toMatchObject({ ...conflict, operation: 'remove' });
      expect(exec).toMatchObject({ ...conflict, operation: 'probe' });
      await runtime.rename(id, `other-${user}`, never);
      await runtime.rename(id, boxNameOf(user), never);
      expect(await look(user)).toMatchObject([{ id, name: boxNameOf(user), state: 'paused' }]);
    });

    test('that is paused goes on by itself when it is stopped, and hears the TERM', async () => {
      const { user, id } = await startBox();
      await harness.hands.pause(id);
      await runtime.stop(id, 20_000, never);
      expect(await look(user)).toMatchObject([{ state: 'exited', exitCode: 0 }]);
    });

    test('that does not run is not entered, nor unpaused', async () => {
      const { user, id } = await startBox();
      expect(['failed', 'conflict']).toContain((await faultOf(runtime.unpause(id, never))).kind);
      await runtime.stop(id, 5_000, never);
      expect(['failed', 'conflict']).toContain((await faultOf(runtime.unpause(id, never))).kind);
      expect(await faultOf(probe(id))).toMatchObject({ ...conflict, operation: 'probe' });
      expect(await runtime.countExecs(id, never)).toBe(0);
      expect(await look(user)).toMatchObject([{ state: 'exited' }]);
    });

    test('that takes a name which another has is refused, and both keep theirs', async () => {
      const [one, other] = [await startBox(), await startBox()];
      const fault = await faultOf(runtime.rename(one.id, boxNameOf(other.user), never));
      expect(fault).toMatchObject({ ...conflict, operation: 'rename' });
      expect(await look(one.user)).toMatchObject([{ id: one.id, name: boxNameOf(one.user) }]);
      expect(await look(other.user)).toMatchObject([{ id: other.id, name: boxNameOf(other.user) }]);
    });
  });
}
