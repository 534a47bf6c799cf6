import fc from 'fast-check';
import { z } from 'zod';
import { BoxView } from '#shared/api-schemas.ts';
import { createBoxStore } from '#shared/box-store.ts';
import { keysOf, InstallationId, LeaseId } from '#shared/identity.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { StatusBody } from '#shared/status.ts';
import { viewOf } from '../../../controller/src/api/box-view.ts';
import { freshContext } from '../../../controller/src/box/context.ts';
import { statusBodyOf } from '../../../controller/src/box/conditions.ts';
import { planNext } from '../../../controller/src/box/plan.ts';
import { createLeaderStore } from '../../../controller/src/store/leader-store.ts';
import { createStatusStore } from '../../../controller/src/store/status-store.ts';
import { alice, boxClass, containerOf, factsOf, now } from '../../support/box-facts.ts';
import { fakePort } from '../../support/fake-port.ts';
import { must, target } from '../target.ts';
import { junk, mutated, oddNumber, text } from '../values.ts';

const keys = keysOf(InstallationId.parse('fuzz'));
const classes = new Map([['default', boxClass]]);
const noActivity = { inputAgeMs: null, outputAgeMs: null };
const longestWaitMs = 400 * 86_400_000;

/** A reply of the wrong shape is an error of these kinds, never a guess. */
function isAgreed(error: unknown): boolean {
  if (error instanceof z.ZodError || error instanceof SyntaxError) return true;
  return error instanceof Error && error.message.endsWith('where JSON was agreed');
}

const context = { ...freshContext, probedId: 'box-1', readyAt: now - 5, reason: 'StartFailed', retryAt: now + 5 };
const body = {
  value: { ready: 'active' },
  context,
  step: 'active',
  conditions: [{ type: 'Ready', status: 'True', reason: 'Active', message: 'm', since: now }],
  message: 'm',
  progress: { image: 'box:1', doneBytes: 1, totalBytes: 2, layersDone: 1, layers: 2 },
  observedGeneration: 5,
  lastReap: { cause: 'idle', at: now - 5, message: 'm' },
  readyAt: now - 5,
};
const lease = { id: 'j1', kind: 'job', holder: 'a', takenAt: now, expiresAt: now + 60_000, ttlMs: 60_000 };
const session = { id: 's', user: 'alice', gateway: 'g', containerId: 'c', execId: 'e', mode: 'rw', startedAt: now };
const hold = { by: 'activity', holder: 'input', untilMs: now + 60_000 };
const flat = (fields: object): string[] => Object.entries(fields).flatMap(([name, value]) => [name, String(value)]);
const status = {
  version: 3,
  phase: 'ready',
  containerId: 'box-1',
  containerGeneration: 5,
  keepUntil: 0,
  keepCause: '',
};
const desired = { class: 'default', generation: 5, lastActivityAt: now, lastActivityCause: 'input', lastInputAt: now };

/** The reply of the read script, with its JSON parts made of these. */
function readReply(parts: { body: unknown; lease: unknown; hold: unknown; phase: string }): unknown {
  return [
    String(now),
    flat(desired),
    [JSON.stringify(parts.lease)],
    flat({ ...status, phase: parts.phase, body: JSON.stringify(parts.body) }),
    [JSON.stringify(session)],
    [JSON.stringify(parts.hold)],
    String(now + 60_000),
  ];
}
const good = { body, lease, hold, phase: 'ready' };
const phase = fc.constantFrom('absent', 'provisioning', 'ready', 'reaping', 'failed');
const read = fc.oneof(
  mutated(readReply(good)),
  fc.record({ body: mutated(body), lease: fc.constant(lease), hold: fc.constant(hold), phase }).map(readReply),
  fc.record({ body: fc.constant(body), lease: mutated(lease), hold: mutated(hold), phase }).map(readReply),
  junk,
);

export const records = target('what Redis tells of a box', 40, read, () => ({
  async check(reply) {
    const record = await storeOver(reply)
      .read(alice)
      .catch((error: unknown) => {
        must(isAgreed(error), `a reply of another shape is refused as such, not with ${String(error)}`);
        return null;
      });
    if (record === null) return;
    const view = JSON.parse(JSON.stringify(viewOf(record, classes)));
    must(BoxView.safeParse(view).success, 'what is shown of a record has the agreed form');
    planOf(record.status, record.now);
  },
}));

export const snapshots = target(
  'the stored state of the machine',
  60,
  fc.oneof(
    fc.record({ value: junk, context: junk }),
    fc.record({ value: mutated({ ready: 'active' }, { reaping: 'stopping' }), context: mutated(context) }),
    fc.record({ value: fc.constantFrom('absent', 'failed', { reaping: 'removing' }), context: mutated(context) }),
    fc.tuple(fc.constantFrom(...Object.keys(freshContext)), oddNumber).map(([name, number]) => ({
      value: 'failed',
      context: { ...context, [name]: number },
    })),
  ),
  () => ({ check: (stored) => planOf(stored, now) }),
);

/** Whatever is stored, a pass comes to an end that can be stored, and looks again in time. */
function planOf(stored: { value?: unknown; context?: unknown } | null, at: number): void {
  for (const box of [null, containerOf(), containerOf({ state: 'exited' })]) {
    const ownership = { box, misnamed: false, extras: [], foreign: null };
    const facts = factsOf({ now: at, ownership });
    const before = stored === null ? null : { value: stored.value, context: stored.context };
    const plan = planNext(before, facts);
    const { requeueAfterMs } = plan;
    must(requeueAfterMs === null || (requeueAfterMs >= 0 && requeueAfterMs < longestWaitMs), 'it looks again in time');
    const kept = JSON.parse(JSON.stringify(statusBodyOf(plan, facts, null)));
    must(StatusBody.safeParse(kept).success, 'what is concluded can be stored and read again');
    must(plan.phase !== 'failed' || plan.context.retryAt <= at + 120_000, 'a failure does not wait for years');
  }
}

const replies = fc.oneof(
  junk,
  junk.map((value) => JSON.stringify(value)),
  mutated(
    { leaseId: 'j', expiresAt: now, now, generation: 5, phase: 'ready', containerId: '', record: 'off' },
    { refused: 'lease-ended', detail: 'reaped' },
    { released: true, now },
    { version: 3, now, fingerprint: '' },
  ).map((value) => JSON.stringify(value)),
  text,
);

export const answers = target('what the scripts answer', 40, replies, () => ({
  async check(reply) {
    const store = storeOver(reply);
    const redis = portOver(reply);
    const leader = createLeaderStore(redis, keys);
    const statuses = createStatusStore({ redis, keys, policies: {} });
    const candidate = { token: 't', ttlMs: 1, holder: 'h', fingerprint: '' };
    const id = LeaseId.parse('j1');
    const take = { user: alice, id, kind: 'job', holder: 'h', ttlMs: 10_000, class: null } as const;
    const commit = {
      user: alice,
      ...status,
      phase: 'ready',
      body: StatusBody.parse(body),
      intent: { kind: 'none' },
      events: [],
      mode: 'run',
    } as const;
    const calls: (() => Promise<unknown>)[] = [
      () => store.take(take),
      () => store.renew(alice, id, null, noActivity),
      () => store.release(alice, id, 'x'),
      () => store.wish(alice, { wish: 'reap' }, 'x'),
      () => store.mode(),
      () => store.setMode({ mode: 'run' }, 'x'),
      () => store.registerGateway({ id: 'g', address: 'a', fingerprint: '' }, 1),
      () => store.useToken('jti', 1),
      () => leader.look(candidate),
      () => leader.mark('t', null),
      () => statuses.commit('t', commit),
    ];
    for (const call of calls) {
      await call().catch((error: unknown) =>
        must(isAgreed(error), `a reply of another shape is refused as such: ${String(error)}`),
      );
    }
    must((await store.useToken('jti', 1)) === (reply === 1), 'a token passes on a clear yes only');
  },
}));

export const lists = target(
  'the users and the history in Redis',
  20,
  fc.record({
    names: fc.array(text, { maxLength: 5 }),
    entries: fc.array(fc.array(text, { maxLength: 3 }), { maxLength: 4 }),
  }),
  () => ({
    async check({ names, entries }) {
      const redis = fakePort<RedisPort>({
        hashValues: async () => names,
        streamAfter: async () => [],
        streamTail: async () => entries.map((fields) => ({ id: `${now}-0`, fields })),
      });
      const store = createBoxStore({ redis, keys, policies: {}, defaultClass: 'default' });
      must(
        (await store.users()).every((name) => names.includes(name)),
        'no user is made up',
      );
      must((await store.events(alice, 5)).length === entries.length, 'history is shown, whatever is in it');
    },
  }),
);

function portOver(reply: unknown): RedisPort {
  return fakePort<RedisPort>({ run: async () => reply });
}

function storeOver(reply: unknown) {
  return createBoxStore({ redis: portOver(reply), keys, policies: {}, defaultClass: 'default' });
}
