import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { boxNameOf } from '#shared/identity.ts';
import { jsonLines } from '../../controller/src/runtime/json-lines.ts';
import { createEngine, defaultTimeouts } from '../../controller/src/runtime/engine.ts';
import { never, newUser, plainSpec } from './box-runtime-harness.ts';
import { type DockerHarness, makeDockerHarness } from './docker-harness.ts';

/**
 * How the engine's events can be asked for again. Spoonbox does not: it subscribes, and then lists. These facts say why that is
 * enough, and why `since` would not do away with the list.
 */
describe('events of the engine', () => {
  let harness: DockerHarness;
  beforeAll(async () => {
    harness = await makeDockerHarness();
    await harness.runtime.ensureNetwork(never);
  });
  afterAll(() => harness?.dispose());

  const EventHead = z.object({ Action: z.string(), Actor: z.object({ Attributes: z.record(z.string(), z.string()) }) });

  async function createBox() {
    const user = newUser();
    await harness.hands.makeHome(user);
    const { id } = await harness.runtime.create({ user, generation: 1, spec: plainSpec(harness, user) }, never);
    return { user, id };
  }

  /** The events of one container between two times, as text: a time in nanoseconds is more than a number holds. */
  async function eventsOf(id: string, since: string): Promise<{ action: string; name: string; at: string }[]> {
    const filters = JSON.stringify({ container: [id] });
    const engine = createEngine(harness.world.docker.modem, defaultTimeouts);
    // A little ahead: the engine's clock is finer than ours, and an event of this very millisecond would be left out.
    const query = { since, until: String((Date.now() + 50) / 1_000), filters };
    const stream = await engine.open('events', { method: 'GET', path: '/events', query }, 10_000, never);
    const text = (await stream.toArray()).map(String).join('');
    return text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => {
        const { Action, Actor } = EventHead.parse(JSON.parse(line));
        const nanoseconds = /"timeNano":(\d+)/.exec(line)?.[1] ?? '';
        const at = `${nanoseconds.slice(0, -9)}.${nanoseconds.slice(-9)}`;
        return { action: Action, name: Actor.Attributes.name ?? '', at };
      });
  }

  test('since is inclusive to the nanosecond: who asks from the last event on hears it twice', async () => {
    const before = String(Math.floor(Date.now() / 1_000) - 1);
    const { user, id } = await createBox();
    await harness.runtime.rename(id, `one-${user}`, never);
    await harness.runtime.rename(id, `two-${user}`, never);
    const all = await eventsOf(id, before);
    expect(all.map(({ action, name }) => `${action} ${name}`)).toEqual([
      `create ${boxNameOf(user)}`,
      `rename one-${user}`,
      `rename two-${user}`,
    ]);
    const [, second, third] = all;
    expect(await eventsOf(id, second?.at ?? '')).toEqual([second, third]);
    expect(await eventsOf(id, shifted(second?.at ?? '', 1n))).toEqual([third]);
    expect(await eventsOf(id, shifted(second?.at ?? '', -1n))).toEqual([second, third]);
    // As a number of JavaScript the time may be another: some events would come twice, and some never.
    expect(Number.isSafeInteger(Number((second?.at ?? '').replace('.', '')))).toBe(false);
  });

  test('a rename is told under the new name, with the old one and its slash beside it', async () => {
    const { user, id } = await createBox();
    const filters = JSON.stringify({ container: [id], event: ['rename'] });
    const engine = createEngine(harness.world.docker.modem, defaultTimeouts);
    const request = { method: 'GET', path: '/events', query: { filters } } as const;
    const stream = await engine.open('events', request, 10_000, never);
    await wait(200);
    await harness.runtime.rename(id, `new-${user}`, never);
    for await (const value of jsonLines(stream)) {
      expect(EventHead.parse(value)).toMatchObject({
        Action: 'rename',
        Actor: { Attributes: { name: `new-${user}`, oldName: `/${boxNameOf(user)}` } },
      });
      break;
    }
    stream.destroy();
    // The old name finds nothing, the new one and the id do.
    expect(await harness.runtime.observe(user, { thorough: false }, never)).toMatchObject([
      { id, name: `new-${user}` },
    ]);
  });

  test('a container that is being made or could not be made is told by no event', async () => {
    const user = newUser();
    const name = boxNameOf(user);
    const end = await harness.hands.beginCreate(name);
    const before = String(Math.floor(Date.now() / 1_000) - 1);
    const half = (await harness.runtime.list(never)).find((view) => view.name === name);
    expect(await eventsOf(half?.id ?? '', before)).toEqual([]);
    await end();
    expect((await eventsOf(half?.id ?? '', before)).map(({ action }) => action)).toEqual(['create']);
  });
});

function shifted(at: string, nanoseconds: bigint): string {
  const text = String(BigInt(at.replace('.', '')) + nanoseconds);
  return `${text.slice(0, -9)}.${text.slice(-9)}`;
}
