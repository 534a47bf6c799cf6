import { isDeepStrictEqual } from 'node:util';
import { describe, expect, test } from 'vitest';
import type { BoxContext } from '../../controller/src/box/context.ts';
import type { Facts } from '../../controller/src/box/facts.ts';
import type { ContainerView } from '../../controller/src/box/observed.ts';
import { type Plan, planNext } from '../../controller/src/box/plan.ts';
import type { StateValue } from '../../controller/src/box/snapshot.ts';
import { boxClass, containerOf, drainMode, now, pauseMode, spec } from '../support/box-facts.ts';
import {
  admissions,
  amnesties,
  besides,
  boxes,
  contextOf,
  contexts,
  desires,
  drifted,
  homes,
  images,
  outdated,
  rollouts,
  rooms,
  values,
} from './worlds.ts';
import { type Beside, outcomes, vaultMemories, vaultOutcomes, vaults, worldOf } from './worlds.ts';

/**
 * What the machine decides, written down as sentences: a change of any decision, or of a sentence that people read, is seen
 * in review as a change in `decisions/`. Renew it with `npm test -- test/model/decisions.test.ts -u`, and read the difference.
 */

const place = { at: now - 60_000, memoryBytes: boxClass.limits.memory };

/** The memory that a state has in an ordinary life. */
function memoryOf(value: StateValue): Partial<BoxContext> {
  if (value === 'failed') {
    const fault = {
      attempts: 3,
      failingId: 'box-1',
      failedGeneration: 5,
      reason: 'StartFailed',
      message: 'no',
    } as const;
    return { ...fault, place, retryAt: now + 4_000 };
  }
  if (typeof value === 'string') return {};
  if ('provisioning' in value) return { place };
  if ('ready' in value) return { place, probedId: 'box-1', readyAt: now - 5_000 };
  return { place, drainId: 'box-1', drainCause: 'reap' };
}

type Holder = 'leased' | 'kept' | 'due';
const holders: Readonly<Record<Holder, Partial<Facts>>> = {
  leased: {},
  kept: { hasLease: false, wantedUntil: now + 60_000, nextLeaseExpiry: null },
  due: { hasLease: false, wantedUntil: now, nextLeaseExpiry: null },
};
const everyHolder = ['leased', 'kept', 'due'] as const;

const running = containerOf();
const exited = containerOf({ state: 'exited', exitCode: 127 });
const fewBoxes = [null, running, exited];

/** One world; what is new in it beside the box and its holder has words of its own. */
interface Row {
  readonly box: ContainerView | null;
  readonly holder: Holder;
  readonly news: string;
  readonly facts: Facts;
  /** instead of the ordinary one */
  readonly memory: Partial<BoxContext> | null;
}

function row(
  box: ContainerView | null,
  holder: Holder,
  news = '',
  parts: Omit<Parameters<typeof worldOf>[0], 'box'> = {},
  memory: Partial<BoxContext> | null = null,
): Row {
  const rest = { ...holders[holder], ...parts.rest };
  return { box, holder, news, facts: worldOf({ ...parts, box, rest }), memory };
}

const sections: Readonly<Record<string, () => Row[]>> = {
  'what is there, and who holds it': () =>
    [...boxes, drifted, exited].flatMap((box) => everyHolder.map((holder) => row(box, holder))),

  'what operators want': () =>
    [null, running].flatMap((box) =>
      desires
        .slice(1)
        .flatMap((desired) => everyHolder.map((holder) => row(box, holder, wordsOf(desired), { desired }))),
    ),

  'what is unknown': () => [
    ...fewBoxes.flatMap((box) =>
      everyHolder.map((holder) => row(box, holder, 'desired state lost', { desired: null })),
    ),
    ...[null, running].flatMap((box) =>
      everyHolder.map((holder) => row(box, holder, 'engine down', { rest: { engineDown: 'connection refused' } })),
    ),
    ...amnesties
      .slice(1)
      .flatMap((amnesty) => fewBoxes.map((box) => row(box, 'due', `amnesty ${amnesty?.cause}`, { rest: { amnesty } }))),
  ],

  'what an operator lets it do': () => [
    ...[...fewBoxes, drifted].flatMap((box) => everyHolder.map((holder) => row(box, holder, 'drain', drain))),
    row(null, 'leased', 'drain, image wanted', { rest: { ...drain.rest, image: { state: 'wanted' } } }),
    row(null, 'leased', 'drain, a foreign one has its name', { ...drain, beside: besides[5] ?? alone }),
    row(running, 'due', 'drain, to be reaped', { ...drain, desired: desires[3] ?? {} }),
    row(null, 'due', 'drain, deleted', { ...drain, desired: desires[4] ?? {} }),
    // That it is so in every world is a rule of `invariants.ts`.
    row(running, 'due', 'pause, amnesty', { rest: { mode: pauseMode, amnesty: amnesties[2] ?? null } }),
  ],

  'what waits': () => [
    ...everyHolder.map((holder) => row(running, holder, 'paced', { rest: { pacedUntil: now + 9_000 } })),
    ...everyHolder.map((holder) => row(running, holder, 'a stop is under way', { rest: { stopping: ['box-1'] } })),
  ],

  'what is rolled out': () => [
    ...everyHolder.map((holder) => row(outdated, holder, 'outdated')),
    ...rollouts.slice(1).map((rest) => row(outdated, 'kept', `outdated, ${Object.keys(rest).join(' ')}`, { rest })),
    row(outdated, 'kept', 'outdated, paced', { rest: { pacedUntil: now + 9_000 } }),
    row(outdated, 'kept', 'outdated, drain', drain),
    row(outdated, 'kept', 'outdated, desired state lost', { desired: null }),
    row(outdated, 'kept', 'outdated, image not there', { rest: { image: { state: 'wanted' } } }),
  ],

  'places, and who gives way': () => [
    ...admissions
      .slice(1)
      .flatMap((admission) =>
        [null, running].map((box) => row(box, 'leased', admission.state, { rest: { admission } })),
      ),
    ...rooms.slice(1).map((room) =>
      row(running, 'kept', `its turn, may go: ${room.givesWayAt ?? 'no'}`.replace(String(now), 'now'), {
        rest: room,
      }),
    ),
    row(null, 'leased', 'waits, let in before', { rest: { admission: admissions[1] ?? { state: 'open' } } }, { place }),
    row(
      null,
      'leased',
      'waits, let in before for less',
      { rest: { admission: admissions[1] ?? { state: 'open' } } },
      {
        place: { ...place, memoryBytes: 1 },
      },
    ),
  ],

  'what it is made from': () => [
    ...images.map((image) => row(null, 'leased', `image ${image.state}`, { rest: { image } })),
    ...homes.map((home) => row(null, 'leased', `home ${Object.values(home).join(' ')}`, { rest: { home } })),
    ...[null, running].map((box) =>
      row(box, 'leased', 'class gone', { desired: { class: 'gone' }, rest: { boxClass: null } }),
    ),
    row(null, 'leased', 'pulled, but absent', { rest: { image: { state: 'wanted' }, last: succeeded('pull') } }),
    row(null, 'leased', 'absent, and its pull failed', { rest: { image: { state: 'wanted' }, last: pullFailed } }),
    row(null, 'leased', 'home made, but absent', {
      rest: { home: { state: 'absent' }, last: succeeded('ensure-home') },
    }),
    row(null, 'leased', "home made, but root's", {
      rest: { home: { state: 'not-given' }, last: succeeded('ensure-home') },
    }),
  ],

  'what is beside it': () => [
    ...fewBoxes.flatMap((box) =>
      besides
        .slice(1)
        .filter(({ ownership }) => box !== null || ownership.foreign !== undefined)
        .flatMap((beside) =>
          (['leased', 'kept'] as const).map((holder) => row(box, holder, besideOf(beside), { beside })),
        ),
    ),
    row(null, 'leased', 'a foreign one, desired state lost', { beside: besides[5] ?? alone, desired: null }),
    row(null, 'due', 'deleted, and a foreign one to be adopted', {
      beside: besides[6] ?? alone,
      desired: desires[4] ?? {},
    }),
  ],

  'how the last command ended': () => [
    ...outcomes
      .filter(({ fault }) => fault === null || ['not-found', 'conflict', 'failed'].includes(fault.kind))
      .flatMap((last) =>
        fewBoxes.map((box) =>
          row(box, 'leased', `${last.command} ${last.containerId}: ${last.fault?.kind ?? 'ok'}`, { rest: { last } }),
        ),
      ),
    row(exited, 'leased', 'start of another: ok', { rest: { last: { ...succeeded('start'), containerId: 'other' } } }),
    row(
      null,
      'leased',
      'it vanished again',
      { rest: { last: { ...succeeded('probe'), containerId: 'box-1' } } },
      { vanished: true },
    ),
    row(null, 'leased', 'the name is taken by a foreign one', {
      beside: besides[5] ?? alone,
      rest: { last: nameTaken },
    }),
    ...[0, 39, 40].map((creationsSeen) =>
      row(
        null,
        'leased',
        `creation elsewhere, seen ${creationsSeen} times`,
        { rest: { last: nameTaken } },
        { creationsSeen },
      ),
    ),
  ],

  'what is in the vault': () => [
    ...vaultMemories.flatMap((memory) =>
      vaults.map((vault) =>
        row(running, 'leased', `${wordsOf(vault)}, ${wordsOf(memory)}`, { rest: { vault } }, memory),
      ),
    ),
    ...vaultOutcomes.map((last) =>
      row(running, 'leased', `writing it: ${last.fault?.kind ?? JSON.stringify(last.vault)}`, {
        rest: { last, vault: vaults[2] ?? { revision: 8 } },
      }),
    ),
  ],

  'what is remembered': () =>
    [...contexts, ...moreMemories].flatMap((memory) => [
      ...fewBoxes.map((box) => row(box, 'leased', wordsOf(memory), {}, memory)),
      row(running, 'due', wordsOf(memory), {}, memory),
    ]),
};

const drain = { rest: { mode: drainMode } };
const alone: Beside = { ownership: {}, foreignExecs: null, consent: {} };
const pullFailed: Facts['last'] = {
  ...{ command: 'pull', containerId: '' },
  fault: { kind: 'failed', operation: 'pull', status: 500, message: 'no such registry' },
};
const nameTaken: Facts['last'] = {
  ...{ command: 'create', containerId: '' },
  fault: { kind: 'conflict', operation: 'create', status: 409, message: 'the name is in use' },
};

function succeeded(command: NonNullable<Facts['last']>['command']): NonNullable<Facts['last']> {
  return { command, containerId: '', fault: null };
}

const moreMemories: Partial<BoxContext>[] = [
  { isLost: true },
  { orphanGranted: true, keepUntil: now + 1_000, keepCause: 'its desired state was lost' },
  { attempts: 2, failingId: 'box-1', retryAt: now, reason: 'ContainerDied', failedGeneration: 5 },
  { attempts: 9, failingId: 'other', retryAt: now + 500_000, reason: 'PullFailed', failedGeneration: 5 },
  { attempts: 1, retryAt: now + 9_000, reason: 'ImageMissing', failedGeneration: 5 },
  { attempts: 1, retryAt: now + 9_000, reason: 'ClassUnknown', failedGeneration: 4 },
  { lastReap: { cause: 'idle', at: now - 9_000, message: 'nobody needed the box any more' }, readyAt: now - 70_000 },
  { drainId: 'box-1', drainCause: 'reap', reason: 'StopFailed', attempts: 2, retryAt: now + 2_000 },
  { drainId: 'box-1', drainCause: 'reap', reason: 'StopFailed', attempts: 2, retryAt: now },
  { drainId: 'extra-1', drainCause: 'duplicate', retryAt: now + 2_000, attempts: 4 },
];

/** The states that decide alike, and what they decide; of those that decide as without the news, nothing. */
function decisions({ box, holder, news, facts, memory }: Row): string[] {
  const usual = news === '' ? new Map<string, string>() : decisionsByState(row(box, holder).facts, null);
  const statesOf = new Map<string, string[]>();
  for (const [state, text] of decisionsByState(facts, memory)) {
    if (usual.get(state) !== text) statesOf.set(text, [...(statesOf.get(text) ?? []), state]);
  }
  return [...statesOf].map(([text, states]) => `  ${namesOf(states)} ${text}`);
}

function decisionsByState(facts: Facts, memory: Partial<BoxContext> | null): Map<string, string> {
  return new Map(
    values.map((value) => {
      const context = contextOf(memory ?? memoryOf(value));
      return [stateName(value), decisionText(context, planNext({ value, context }, facts))];
    }),
  );
}

function decisionText(given: BoxContext, plan: Plan): string {
  const { spec: _spec, ...command } = { spec: null, ...plan.command };
  const { step } = plan;
  const changes = Object.fromEntries(
    Object.entries(plan.context).filter(
      ([field, value]) => !isDeepStrictEqual(value, new Map<string, unknown>(Object.entries(given)).get(field)),
    ),
  );
  const parts = [
    `→ ${plan.phase}${step === null ? '' : `.${step}`}`,
    plan.rule,
    ...(plan.command.type === 'none' ? [] : [JSON.stringify(command)]),
    plan.requeueAfterMs === null ? 'waits' : `again in ${plan.requeueAfterMs} ms`,
    ...(Object.keys(changes).length === 0 ? [] : [`remembers ${JSON.stringify(changes)}`]),
  ];
  return withTimes(parts.join(' · '));
}

describe('every decision is the one that is written down', () => {
  test.each(Object.entries(sections))('of %s', async (section, rows) => {
    const blocks = rows().flatMap((each) => {
      const changed = decisions(each);
      const world = [nameOf(each.box), each.holder, ...(each.news === '' ? [] : [each.news])].join('; ');
      return changed.length === 0 ? [] : [[world, ...changed].join('\n')];
    });
    await expect(`${blocks.join('\n')}\n`).toMatchFileSnapshot(`./decisions/${section.replaceAll(/\W+/g, '-')}.txt`);
  });
});

function nameOf(box: ContainerView | null): string {
  if (box === null) return 'none';
  const spoiled = box.spec === null ? ' with an unreadable spec' : box.spec.cpus === spec.cpus ? '' : ' of an old spec';
  const code = box.exitCode === null ? '' : ` (${box.exitCode})`;
  return `${box.state}${code}${box.oomKilled ? ' out of memory' : ''}${spoiled}`;
}

function wordsOf(value: object | null): string {
  return withTimes(JSON.stringify(value));
}

/** Times as they lie before or after `now`. */
function withTimes(text: string): string {
  return text.replaceAll(/\b1[67]\d{11}\b/g, (at) => `now${sign(Number(at) - now)}`);
}

function besideOf({ ownership, foreignExecs, consent }: Beside): string {
  const { extras = [], foreign = null, misnamed = false } = ownership;
  const parts = [
    misnamed ? 'misnamed' : '',
    ...extras.map(({ state }) => `a second one ${state}`),
    foreign === null ? '' : `a foreign one ${foreign.state}`,
    foreignExecs === null ? '' : `with ${foreignExecs} commands`,
    Object.keys(consent).length === 0 ? '' : JSON.stringify(consent),
  ];
  return parts.filter((part) => part !== '').join(' ');
}

function stateName(value: StateValue): string {
  return typeof value === 'string' ? value : Object.entries(value).flat().join('.');
}

function namesOf(states: readonly string[]): string {
  if (states.length === values.length) return 'every state';
  const all = values.map(stateName);
  let text = states.join(', ');
  for (const phase of ['provisioning', 'ready', 'reaping']) {
    const steps = all.filter((state) => state.startsWith(phase));
    if (steps.every((step) => states.includes(step))) text = text.replace(steps.join(', '), phase);
  }
  return text;
}

function sign(ms: number): string {
  if (ms === 0) return '';
  return ms < 0 ? String(ms) : `+${ms}`;
}
