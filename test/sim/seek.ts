import {
  actKinds,
  type Ambush,
  ambushes,
  faultClasses,
  faultClassNames,
  faultKinds,
  inOrder,
  type PlannedFault,
} from './fault-plan.ts';
import type { Random } from './random.ts';
import { bringings, type Kind, type Moment } from './seek-table.ts';

/** A fault that is added to a plan; its index is given by its place. */
export type Added = Omit<PlannedFault, 'index'>;

const kinds: readonly Kind[] = [...faultKinds, ...actKinds, 'wait'];

/** Rounds of one plan follow each other so closely, ms. */
const roundMs = [5_000, 12_000] as const;
/** What a round is made of does so too: most of it within one command. */
const gapsMs = [0, 0, 5, 5, 60, 300, 1_000];
const waitMs = 3_000;
const lastsMs = [200, 1_000, 3_000, 8_000];
/** The users that a plan turns on, by their place in [0, 1): few, so that things meet. */
const turnedOn = [0.1, 0.3];
/** In these shares of the rounds: what changes the stored state, a fault of some class beside, and something that people do. */
const restored = 0.7;
const disturbed = 0.7;
const acted = 0.3;

/** A dense plan by chance, made of what may bring one edge about: its state, and what its rule waits for. */
export function planSeek(random: Random, edge: string, untilMs: number): PlannedFault[] {
  const [state, rule] = splitEdge(edge);
  const step = stepOf(state);
  const { by, during } = bringings[rule] ?? { by: [] };
  const added: Added[] = [];
  let which = 0;
  let moment = 0;
  const add = (kind: Kind, ambush: Ambush | null, forMs = random.pick(lastsMs)): void => {
    if (kind === 'wait') {
      moment += waitMs;
      return;
    }
    const how = kind === 'status-restored' ? howOf(step) : random.next();
    added.push({ at: Math.min(moment, untilMs - 5_000), ambush, kind, forMs, which, how });
  };
  // Every step is met once, so that its status can come back.
  for (const user of turnedOn) {
    which = user;
    moment = 3_000;
    for (const kind of [
      'image-vanishes',
      'come',
      'wait',
      'wait',
      'wait',
      'ask-reap',
      'wait',
      'starts-die',
      'come',
    ] as const)
      add(kind, null, 200);
  }
  for (let at = 20_000; at < untilMs - 5_000; at += random.int(...roundMs)) {
    which = random.pick(turnedOn);
    moment = at;
    if (random.chance(disturbed)) {
      add(random.pick(faultClasses[random.pick(faultClassNames)]), null);
      moment += random.pick(lastsMs) / 2;
    }
    const restoresAt = random.chance(restored) ? random.int(0, by.length) : -1;
    // It comes amid a command by itself; else as one of the things to come, and is looked at only where it is the last.
    if (restoresAt >= 0 && during !== undefined) add('status-restored', during, lastsMs[2]);
    by.forEach((each, index) => {
      if (restoresAt === index && during === undefined) add('status-restored', null, lastsMs[2]);
      const { kind, ambush } = momentOf(typeof each === 'string' ? each : random.pick(each));
      add(kind, ambush ?? (random.chance(0.2) ? step : null));
      moment += random.pick(gapsMs);
    });
    if (restoresAt === by.length && during === undefined) add('status-restored', null, lastsMs[0]);
    if (random.chance(acted)) add(random.pick(actKinds), random.chance(0.3) ? step : null);
  }
  return inOrder(added);
}

function momentOf(text: Moment): { kind: Kind; ambush: Ambush | null } {
  const [name, at] = text.split('@');
  const kind = kinds.find((each) => each === name);
  if (kind === undefined) throw new Error(`there is no fault "${name}"`);
  return { kind, ambush: ambushes.find((step) => step === at) ?? null };
}

/** State and rule. */
export function splitEdge(edge: string): [string, string] {
  const at = edge.indexOf(': ');
  return [edge.slice(0, at), edge.slice(at + 2)];
}

/** What the status says of it: the step, or the phase where it has none. */
export function stepOf(state: string): Ambush {
  const last = state.slice(state.indexOf('.') + 1);
  return ambushes.find((step) => step === last) ?? 'absent';
}

/** The strength of a fault that brings back the status of this step. */
export function howOf(step: Ambush): number {
  return (ambushes.indexOf(step) + 0.5) / ambushes.length;
}

/** Rules that a plan knows nothing for: none, or the table has rotted. */
export function rulesWithoutHelp(edges: readonly string[]): string[] {
  return [...new Set(edges.map((edge) => splitEdge(edge)[1]))].filter((rule) => bringings[rule] === undefined);
}
