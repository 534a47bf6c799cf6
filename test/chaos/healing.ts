import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { TerminalTokenReply } from '#shared/api-schemas.ts';
import { label } from '#shared/identity.ts';
import type { Random } from '../sim/random.ts';
import { ask } from './asking.ts';
import type { World } from './breaking.ts';
import type { LeaseHistory } from './lease-history.ts';
import { Typist } from './typist.ts';

const lookEveryMs = 100;
/** A person whose terminal does not come by then tries again with a new one. */
const patienceMs = 10_000;
const healWithinMs = 180_000;

const Boxes = z.object({
  items: z.array(
    z.object({
      user: z.string(),
      ready: z.boolean(),
      containerId: z.string().nullable(),
      leases: z.array(z.unknown()),
    }),
  ),
});
type BoxState = z.infer<typeof Boxes>['items'][number];

export interface Healing {
  /** from `sinceMs` until everybody was served; null = not within the limit */
  readonly healMs: number | null;
  /** what was there when */
  readonly story: string;
}

/**
 * Waits until everybody is served again: every user who held a lease since the fault began or at the first look after it, and does still, has a box that is
 * ready by the API of each controller and that runs by the engine itself; and a new terminal at each gateway answers what is
 * typed into it. Who comes later waits for a box as on any day, and is not waited for.
 */
export async function healed(
  world: World,
  leases: LeaseHistory,
  users: readonly string[],
  random: Random,
  { beganMs, sinceMs }: { beganMs: number; sinceMs: number },
): Promise<Healing> {
  const concerned = users.filter((user) => leases.wasHeld(user, beganMs, sinceMs));
  const [boxes, ...terminals] = await Promise.all([
    boxesAreReady(world, leases, concerned, sinceMs),
    ...world.gateways.map((gateway) => terminalAnswers(world, leases, users, random.fork(), gateway, sinceMs)),
  ]);
  const parts = [{ name: 'boxes', ms: boxes }, ...terminals.map((ms, index) => ({ name: `gateway-${index + 1}`, ms }))];
  const story = parts
    .map(({ name, ms }) => `${name} ${ms === null ? 'never' : `${(ms / 1_000).toFixed(1)} s`}`)
    .join(', ');
  const times = parts.map(({ ms }) => ms ?? Number.POSITIVE_INFINITY);
  const healMs = Math.max(...times);
  if (Number.isFinite(healMs))
    world.history.checked('who holds a box has it, and terminals open, once a fault is over');
  else world.history.violated(`5: not served again ${healWithinMs / 1_000} s after the last fault: ${story}`);
  return { healMs: Number.isFinite(healMs) ? healMs : null, story };
}

async function boxesAreReady(
  world: World,
  leases: LeaseHistory,
  concerned: readonly string[],
  sinceMs: number,
): Promise<number | null> {
  let waiting: string[] | null = null;
  while (Date.now() - sinceMs < healWithinMs) {
    const begunMs = Date.now();
    const views = await Promise.all(world.controllers.map(({ url }) => boxesOf(url)));
    const containers = await world.docker
      .listContainers({ filters: { label: [`${label.role}=box`] }, abortSignal: AbortSignal.timeout(5_000) })
      .catch(() => null);
    const running = new Set(containers?.map(({ Id }) => Id));
    const known = views.find((view) => view !== null) ?? null;
    if (known !== null) {
      const held = [...known.values()].flatMap(({ user, leases: live }) => (live.length > 0 ? [user] : []));
      waiting ??= [...new Set([...concerned, ...held])];
      waiting = waiting.filter((user) => {
        if (!leases.isHeld(user, begunMs) && !held.includes(user)) return false;
        return views.some((view) => {
          const box = view?.get(user);
          return !box?.ready || !running.has(box.containerId ?? '');
        });
      });
    }
    if (waiting?.length === 0 && views.every((view) => view !== null)) return begunMs - sinceMs;
    await wait(lookEveryMs);
  }
  world.history.noted(`at the end of the wait these had no box: ${waiting?.join(', ') ?? 'all'}`);
  return null;
}

/** null = no answer */
async function boxesOf(controller: string): Promise<Map<string, BoxState> | null> {
  const answer = await ask(controller, 'GET', '/v1/boxes');
  const parsed = Boxes.safeParse(answer?.json);
  return parsed.success ? new Map(parsed.data.items.map((box) => [box.user, box])) : null;
}

/** When a new terminal at this gateway answered, of somebody who holds a box if there is one. */
async function terminalAnswers(
  world: World,
  leases: LeaseHistory,
  users: readonly string[],
  random: Random,
  gateway: World['gateways'][number],
  sinceMs: number,
): Promise<number | null> {
  while (Date.now() - sinceMs < healWithinMs) {
    const held = users.filter((user) => leases.isHeld(user, Date.now()));
    const user = random.pick(held.length > 0 ? held : users);
    const asked = await ask(random.pick(world.controllers).url, 'POST', `/v1/boxes/${user}/terminal-tokens`, {});
    const reply = TerminalTokenReply.safeParse(asked?.json);
    if (reply.success) {
      const { token, session } = reply.data;
      const typist = new Typist({ user, session, token, gateway }, world.hear);
      const first = await typist.answered(patienceMs);
      if (first) typist.type(1);
      const answered = first && (await typist.answered(patienceMs));
      const atMs = Date.now();
      await typist.leave();
      if (answered) return atMs - sinceMs;
    }
    await wait(lookEveryMs);
  }
  return null;
}
