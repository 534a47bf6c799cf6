import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import type { Cell } from './matrix.ts';
import { type Scenario, scenarios } from './scenarios.ts';

/** Calls of the port that ask nothing of the engine, or only listen to it. */
type Silent = 'home' | 'forgetImages' | 'follow';

/** Every call of the engine's port, each with the story that dies at it soonest: a new call without one does not compile. */
const storyOfCall: Readonly<Record<Exclude<keyof BoxRuntime, Silent>, string>> = {
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
  rename: 'renamed',
  unpause: 'paused',
  countExecs: 'adopt',
  stop: 'reap',
  remove: 'reap',
};

/** Every kind of commit. */
const storyOfCommit: Readonly<Record<string, string>> = {
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

/** Every failpoint before and after something once, each in one story. */
export function eachOnce(): Cell[] {
  const commits = Object.entries(storyOfCommit).map(([kind, story]) => [`commit ${kind}`, story] as const);
  return [...Object.entries(storyOfCall), ...commits].flatMap(([name, story]) =>
    ['before', 'after'].map((place) => ({ scenario: scenarioOf(story), failpoint: `${place} ${name}`, nth: 1 })),
  );
}

function scenarioOf(id: string): Scenario {
  const found = scenarios.find((scenario) => scenario.id === id);
  if (found === undefined) throw new Error(`there is no story ${id}`);
  return found;
}
