import { isDeepStrictEqual } from 'node:util';
import type { Facts } from '../../controller/src/box/facts.ts';
import { isRolloutDue } from '../../controller/src/box/holding.ts';
import { isLive } from '../../controller/src/box/ownership.ts';
import { type Plan, planNext } from '../../controller/src/box/plan.ts';
import { restore, stateOf } from '../../controller/src/box/snapshot.ts';
import { type Given, isPermitted } from './acceptance.ts';

/** A pass that asks for another at once must come to rest, or to a command, after this many. */
const passesToRest = 6;

const makesBoxes = ['pull', 'ensure-home', 'create'] as const;

/** What must hold of every plan, whatever the state and the facts: each broken rule as one sentence. */
export function brokenRules(world: Given): string[] {
  // A stored state that cannot be begins anew; what must hold, must hold of what it begins as.
  const snapshot = restore(world);
  const given = { value: stateOf(snapshot), context: snapshot.context, facts: world.facts };
  const { value, context, facts } = given;
  const broken: string[] = [];
  const must = (holds: boolean, rule: string): void => {
    if (!holds) broken.push(rule);
  };
  const plan = planNext({ value, context }, facts);
  const { command } = plan;
  const { box, extras, foreign } = facts.ownership;

  must(plan.rule !== '', 'exactly one edge is taken');
  const restored = restore(JSON.parse(JSON.stringify({ value: plan.value, context: plan.context })));
  must(isDeepStrictEqual(stateOf(restored), plan.value), 'the state can be stored and brought back');
  must(isDeepStrictEqual(restored.context, plan.context), 'the memory can be stored and brought back');

  if (facts.mode.mode === 'pause') {
    must(command.type === 'none', 'nothing is commanded while the reconciler is paused');
    must(isDeepStrictEqual(plan.value, value), 'nothing is concluded while the reconciler is paused');
    must(plan.requeueAfterMs === null, 'a pause is over when its end is told');
    return broken;
  }
  if (facts.engineDown !== null) {
    must(command.type === 'none', 'nothing is commanded while the engine does not answer');
    must(isDeepStrictEqual(plan.value, value), 'nothing is concluded while the engine does not answer');
    must(plan.requeueAfterMs !== 0, 'an engine that is down is not asked without a pause');
    return broken;
  }
  if (command.type === 'create') must(box === null && extras.length === 0 && foreign === null, 'create: no name taken');
  if (command.type === 'create' || command.type === 'start') must(facts.hasLease, 'only a lease starts a box');
  if (facts.mode.mode === 'drain') {
    must(!makesBoxes.some((type) => type === command.type), 'no box is made while the installation is drained');
    const running: Facts = { ...facts, mode: { ...facts.mode, mode: 'run' } };
    const asUsual = planNext({ value, context }, running);
    must(
      mayBeMade(facts) || isRollout(asUsual) || isRolloutDue(context, running) || isDeepStrictEqual(plan, asUsual),
      'a drain concerns nobody but who has no box and asks, and rollouts, which wait',
    );
  }
  if (command.type === 'write-vault') {
    must(facts.vault.revision > 0, 'write-vault: only what there is');
    must(plan.context.probedId === box?.id && box.state === 'running', 'write-vault: only where commands run');
    const isFirst = context.vault.containerId !== box?.id;
    must(plan.phase === 'ready' || isFirst, 'a vault keeps a box from being ready for one try at most');
  }
  const isLetIn = context.place !== null && context.place.memoryBytes >= (facts.boxClass?.limits.memory ?? 0);
  if (facts.admission.state !== 'open' && !isLetIn) {
    must(!makesBoxes.some((type) => type === command.type), 'no box is made for which there is no place');
  }
  if (makesBoxes.some((type) => type === command.type)) must(plan.context.place !== null, 'what is made has a place');
  if (box !== null && isLive(box)) must(plan.context.place !== null, 'what runs has a place');
  if (command.type === 'start') must(facts.admission.state === 'open' || isLetIn, 'nothing is started without a place');
  if (box === null && plan.value === 'absent' && !facts.hasLease) must(plan.context.place === null, 'nobody, no place');
  if ('cause' in command) {
    must(isPermitted(given, command), `${command.type}: the commit permits ${command.cause}`);
    const isOurs = box?.id === command.id || extras.some((extra) => extra.id === command.id);
    must(
      isOurs || facts.desired?.adoptContainerId === command.id || wasBegun(given, command.id),
      'only ours, or named',
    );
  } else if ('id' in command) must(command.id === box?.id, `${command.type}: only the box itself`);
  const isIdleDrain = 'cause' in command && command.cause === 'idle' && !wasBegun(given, command.id);
  if (isIdleDrain) {
    must(facts.now >= facts.wantedUntil, 'no idle drain before wantedUntil');
    must(
      facts.amnesty === null || facts.amnesty.id === context.amnestyId,
      'no idle drain before the amnesty is granted',
    );
    must(facts.pacedUntil === null, 'no idle drain out of turn');
    must(facts.desired !== null || context.keepUntil > 0, 'no idle drain of a box nobody knows, before its time');
  }
  if (isRollout(plan) && !wasBegun(given, plan.context.drainId)) {
    must(!facts.hasLease, 'no rollout while somebody holds the box');
    must(!facts.rollout.paused && facts.mode.mode === 'run', 'no rollout while an operator holds it up');
    must(facts.pacedUntil === null, 'no rollout out of turn');
    must(facts.amnesty === null || facts.amnesty.id === context.amnestyId, 'no rollout before the amnesty is granted');
    must(facts.desired !== null, 'no rollout of a box nobody knows');
    must(facts.spec !== null && box?.state === 'running', 'a rollout is of what runs, to what can be made');
    must(!isDeepStrictEqual(box?.spec, facts.spec), 'no rollout of a box that is as it would be made now');
  }
  if ('cause' in command && command.cause === 'gave-way' && !wasBegun(given, command.id)) {
    must(facts.makesRoom, 'no box gives way but in its turn');
    must(!facts.hasLease && facts.desired !== null, 'no box gives way that somebody holds');
    must(
      facts.amnesty === null || facts.amnesty.id === context.amnestyId,
      'no box gives way before the amnesty is granted',
    );
  }
  if (command.type === 'remove') {
    const target = [box, ...extras, foreign].find((container) => container?.id === command.id);
    must(target !== undefined && target !== null && !isLive(target), 'remove: only what does not run');
  }
  if (facts.desired?.deletedAt !== undefined && !facts.hasLease && !isReaping(given)) {
    // A creation that is in progress elsewhere is waited for, or its container would be nobody's.
    const waitsMs = facts.last?.command === 'create' && facts.last.fault?.kind === 'conflict' ? 250 : 0;
    const isNext = plan.requeueAfterMs !== null && plan.requeueAfterMs <= waitsMs;
    const goes = command.type === 'forget' || plan.phase === 'reaping' || isNext;
    must(box === null ? goes : plan.phase === 'reaping', 'delete wins');
  }
  if (plan.requeueAfterMs === 0 && command.type === 'none') must(comesToRest(given, plan), 'it comes to rest');
  return broken;
}

function isRollout({ command }: Plan): boolean {
  return 'cause' in command && command.cause === 'rollout';
}

function mayBeMade({ hasLease, ownership }: Facts): boolean {
  return hasLease && ownership.box === null;
}

function wasBegun({ value, context }: Given, id: string): boolean {
  return typeof value === 'object' && 'reaping' in value && context.drainId === id;
}

function isReaping({ value }: Given): boolean {
  return typeof value === 'object' && 'reaping' in value;
}

/** The same world, looked at again and again: soon there is a command, or time to wait. */
function comesToRest(given: Given, first: Plan): boolean {
  let plan = first;
  const facts = { ...given.facts, last: null };
  for (let pass = 0; pass < passesToRest; pass += 1) {
    plan = planNext(plan, facts);
    if (plan.command.type !== 'none' || plan.requeueAfterMs !== 0) return true;
  }
  return false;
}
