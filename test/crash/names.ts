import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import type { Cell } from './matrix.ts';
import { startUp } from './request-failpoints.ts';
import { type Scenario, scenarios } from './scenarios.ts';

/** Calls of the port that ask nothing of the engine, or only listen to it; and `stats` and `homeUse`, which are no part of any pass. */
export const silent = ['home', 'forgetImages', 'follow', 'stats', 'homeUse'] as const;
type Silent = (typeof silent)[number];

/**
 * The sweep's, which begins a minute after the term, and the proof of tools: what a death leaves of them, the next leader's finds;
 * and they are no part of a box's life.
 */
export const swept = ['sessionMarks', 'endSession', 'runTool'] as const;
type Swept = (typeof swept)[number];

/** Every other call of the engine's port, each with the story that dies at it soonest: a new call without one does not compile. */
export const storyOfCall: Readonly<Record<Exclude<keyof BoxRuntime, Silent | Swept>, string>> = {
  list: 'again',
  image: 'again',
  removeLeftHelpers: 'again',
  ensureNetwork: 'again',
  pull: 'first',
  ensureHome: 'first',
  observe: 'lease',
  create: 'lease',
  start: 'lease',
  probe: 'lease',
  writeVault: 'vault',
  rename: 'renamed',
  unpause: 'paused',
  countExecs: 'adopt',
  stop: 'reap',
  remove: 'reap',
};

/** Every kind of commit. */
export const storyOfCommit: Readonly<Record<string, string>> = {
  'provisioning/pulling': 'first',
  'provisioning/creating': 'lease',
  'provisioning/starting': 'lease',
  'provisioning/probing': 'lease',
  'ready/active': 'lease',
  'ready/active drain': 'twin',
  'ready/idle': 'idle',
  'reaping/stopping drain': 'reap',
  'reaping/removing drain': 'reap',
  absent: 'reap',
  'absent forget': 'delete',
  failed: 'killed',
};

/** The changing requests of calls that are several: dying after one leaves what the next would have gone on from. */
const storyOfRequest: Readonly<Record<string, string>> = {
  'ensureHome: POST /containers/create': 'first',
  'ensureHome: POST /containers/…/start': 'first',
  'ensureHome: POST /containers/…/wait': 'first',
  'ensureHome: DELETE /containers/…': 'first',
  'probe: POST /containers/…/exec': 'lease',
  'probe: POST /exec/…/start': 'lease',
  'writeVault: POST /containers/…/exec': 'vault',
  'writeVault: POST /exec/…/start': 'vault',
  'ensureNetwork: POST /networks/create': 'fresh',
  [`${startUp}: POST /containers/create`]: 'verified',
  [`${startUp}: POST /containers/…/start`]: 'verified',
  [`${startUp}: POST /containers/…/wait`]: 'verified',
  [`${startUp}: DELETE /containers/…`]: 'verified',
};

/** Every failpoint before and after something once, each in one story. */
export function eachOnce(): Cell[] {
  const commits = Object.entries(storyOfCommit).map(([kind, story]) => [`commit ${kind}`, story] as const);
  const around = [...Object.entries(storyOfCall), ...commits].flatMap(([name, story]) =>
    ['before', 'after'].map((place) => ({ scenario: scenarioOf(story), failpoint: `${place} ${name}`, nth: 1 })),
  );
  const within = Object.entries(storyOfRequest).map(([name, story]) => {
    return { scenario: scenarioOf(story), failpoint: `after ${name}`, nth: 1 };
  });
  return [...around, ...within];
}

/** A request that changes something, and is not in the list above. */
export function isUnlistedRequest(failpoint: string): boolean {
  const [, name = ''] = /^after (.+: (?:POST|DELETE) .+)$/.exec(failpoint) ?? [];
  return name !== '' && storyOfRequest[name] === undefined;
}

function scenarioOf(id: string): Scenario {
  const found = scenarios.find((scenario) => scenario.id === id);
  if (found === undefined) throw new Error(`there is no story ${id}`);
  return found;
}
