import type { Breakage } from './breakages.ts';

const capacity = 'test/unit/capacity.test.ts';
const commits = 'test/unit/commits.test.ts';
const store = 'test/contract/box-store.sim.test.ts';

/** Of places, of who waits for one, and of who makes room. */
export const ofCapacity: readonly Breakage[] = [
  {
    name: 'capacity: a place is taken although there is none',
    promise: 'two passes at once never take the last place',
    file: 'controller/src/capacity/capacity.ts',
    text: 'if (!fits(this.free(user), memoryBytes)) return null;',
    replacement: '',
    caughtBy: { file: capacity, test: 'two passes at once never take the last place' },
  },
  {
    name: 'capacity: a new leader lets people in before it knows who has a place',
    promise: 'nobody is admitted before every user that is known has had a pass of this term',
    file: 'controller/src/capacity/capacity.ts',
    text: 'if (this.uncounted === null || this.uncounted.size > 0) return this.wait(user, wish, 0, now);',
    replacement: '',
    caughtBy: { file: capacity, test: 'a new leader lets nobody in before everybody who is known had a pass' },
  },
  {
    name: 'capacity: small boxes pass the large one at the head of the line',
    promise: 'the line is strict',
    file: 'controller/src/capacity/capacity.ts',
    text: 'if (!isAway(entry, now)) take(free, ahead.memoryBytes);',
    replacement: 'if (!isAway(entry, now) && fits(free, ahead.memoryBytes)) take(free, ahead.memoryBytes);',
    caughtBy: { file: capacity, test: 'is strict: a small one does not pass a large one' },
  },
  {
    name: 'capacity: a box that failed keeps its place while it waits for its next try',
    promise: 'a box that failed holds nobody up',
    file: 'controller/src/box/admitting.ts',
    text: 'return now < retryAt && (box === null',
    replacement: 'return now < 0 && (box === null',
    caughtBy: { file: commits, test: 'is given back by a box that failed again' },
  },
  {
    name: 'capacity: idle boxes go although nobody waits',
    promise: 'activity keeps a box until its time while nobody waits',
    file: 'controller/src/box/holding.ts',
    text: "return facts.makesRoom && givesWay(context, facts) ? 'gave-way' : null;",
    replacement: "return givesWay(context, facts) ? 'gave-way' : null;",
    caughtBy: { file: 'test/sim/capacity.test.ts', test: 'not while nobody waits: they are kept for their time' },
  },
  {
    name: 'capacity: a box gives way although somebody may come back to a terminal in it',
    promise: 'who may come back to a terminal keeps the box',
    file: 'shared/lua/_box.lua',
    text: 'if #live > 0 or #sessions > 0 or desired == nil then',
    replacement: 'if #live > 0 or desired == nil then',
    caughtBy: { file: store, test: 'does not while somebody may come back to a terminal in it' },
  },
  {
    name: 'capacity: a commit believes the pass that the box may give way',
    promise: 'the commit script asks all of this again',
    file: 'shared/lua/commit-status.lua',
    text: 'if not free_at or now < free_at then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'does so while activity alone keeps it, and not before its time' },
  },
  {
    name: 'capacity: a box gives way on a Redis that is not trusted',
    promise: 'unknown is never taken for idle',
    file: 'shared/lua/commit-status.lua',
    text: "if intent.cause == 'idle' or intent.cause == 'gave-way' or intent.cause == 'rollout' then",
    replacement: "if intent.cause == 'idle' or intent.cause == 'rollout' then",
    caughtBy: { file: store, test: 'does not on a Redis that is not trusted' },
  },
  {
    name: 'rollouts: a box is replaced although rollouts are paused',
    promise: 'once a pause is answered, no box is replaced any more because its image or class changed',
    file: 'shared/lua/commit-status.lua',
    text: 'if load_rollout(KEYS[#KEYS], now).paused then',
    replacement: 'if false then',
    caughtBy: { file: store, test: 'is refused while rollouts are paused, but one that has begun goes on' },
  },
  {
    name: 'rollouts: they pass the pacer of idle reaps',
    promise: 'rollouts and idle reaps share one pace',
    file: 'controller/src/reconcile/decide.ts',
    text: "(command.cause === 'idle' || command.cause === 'rollout')",
    replacement: "command.cause === 'idle'",
    caughtBy: { file: commits, test: 'a rollout takes a place of the pacer like an idle reap' },
  },
];
