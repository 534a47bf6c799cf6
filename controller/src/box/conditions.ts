import { isOverQuota } from '#shared/home-usage.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { type Condition, ConditionType, type Phase, type Reason, type StatusBody } from '#shared/status.ts';
import { admissionMessage, waitOfPlace } from './admitting.ts';
import { consentedForeign, foreignMessage } from './adopting.ts';
import type { BoxContext } from './context.ts';
import type { Facts } from './facts.ts';
import { driftOf, isIdleDue, isRolloutDue } from './holding.ts';
import { drainedMessage, isPaused, pausedMessage, rolloutPausedMessage, waitsForDrain } from './modes.ts';
import type { Plan } from './plan.ts';
import { vaultVerdict } from './vault.ts';

type Verdict = readonly [status: Condition['status'], reason: Reason, message: string];

/** What is true of the box, each with a reason of a closed list: derived from the plan and the facts, and from nothing else. */
export function conditionsOf(plan: Plan, facts: Facts, previous: readonly Condition[]): Condition[] {
  const verdicts: Record<ConditionType, Verdict> =
    facts.engineDown === null ? verdictsOf(plan, facts) : unknownVerdicts(facts.engineDown);
  return entriesOf(verdicts).map(([type, [status, reason, message]]) => {
    const before = previous.find((condition) => condition.type === type);
    const since = before?.status === status ? before.since : facts.now;
    return { type, status, reason, message, since };
  });
}

/** One sentence for people: what the box is, does, or waits for. */
export function messageOf(plan: Plan, facts: Facts): string {
  switch (pauseFor(plan, facts)) {
    case 'none':
      return stateMessage(plan, facts);
    case 'beside':
      return `${stateMessage(plan, facts)}; ${pausedMessage(facts)}`;
    case 'in-the-way':
      return pausedMessage(facts);
  }
}

/** What a pause is to this box: nothing where nobody asks for one, a word beside what is so anyway, or what it waits for. */
function pauseFor({ phase }: Plan, facts: Facts): 'none' | 'beside' | 'in-the-way' {
  const { box } = facts.ownership;
  if (!isPaused(facts)) return 'none';
  if (facts.engineDown !== null) return 'beside';
  if (phase === 'absent' && box === null && !facts.hasLease) return 'none';
  return phase === 'ready' && box?.state === 'running' ? 'beside' : 'in-the-way';
}

function stateMessage(plan: Plan, facts: Facts): string {
  if (facts.engineDown !== null) return `the container engine does not answer: ${facts.engineDown}`;
  const { context, phase, step } = plan;
  switch (phase) {
    case 'absent': {
      if (waitsForDrain(facts)) return drainedMessage(facts);
      const wait = waitOfPlace(context, facts);
      if (wait !== null) return admissionMessage(wait, context);
      if (facts.ownership.foreign !== null) return foreignMessage(facts);
      return context.lastReap === null
        ? 'there is no box'
        : `there is no box: ${context.lastReap.message}; only the home survived`;
    }
    case 'provisioning':
      return provisioningMessages[step ?? 'creating'] ?? '';
    case 'ready':
      if (step === 'active') return 'in use';
      // Were it its turn, it would not be ready any more.
      if (isIdleDue(context, facts)) return 'nobody needs it; its reap waits for its turn';
      if (isRolloutDue(context, facts))
        return 'nobody holds it, and its image or class changed; it goes when its turn comes';
      return 'nobody holds it; it is kept for a while';
    case 'reaping':
      if (context.retryAt > facts.now) return `${step} it failed and is tried again: ${context.message}`;
      return `it is being ${step === 'stopping' ? 'stopped' : 'removed'}${context.drainCause === 'gave-way' ? ': it gives way to others who wait for a box' : ''}`;
    case 'failed':
      return context.message;
  }
}

const provisioningMessages: Readonly<Record<string, string>> = {
  pulling: 'its image is being pulled',
  creating: 'it is being created',
  starting: 'it is being started',
  probing: 'it is being tried out',
};

/** The JSON part of the status that a pass commits. */
export function statusBodyOf(plan: Plan, facts: Facts, previous: StatusBody | null): StatusBody {
  const { value, context, step } = plan;
  return {
    value,
    context,
    step,
    conditions: conditionsOf(plan, facts, previous?.conditions ?? []),
    message: messageOf(plan, facts),
    progress: plan.step === 'pulling' && facts.image.state === 'pulling' ? facts.image.progress : null,
    observedGeneration: facts.desired?.generation ?? 0,
    lastReap: context.lastReap,
    readyAt: context.readyAt,
  };
}

function verdictsOf(plan: Plan, facts: Facts): Record<ConditionType, Verdict> {
  const { context, phase } = plan;
  return {
    Ready: readyVerdict(plan, facts),
    EngineReachable: ['True', 'EngineAnswers', 'the container engine answers'],
    ImageReady: imageVerdict(context, facts),
    HomeReady: homeVerdict(facts),
    HomeUsage: homeUsageVerdict(facts),
    ContainerReady: containerVerdict(facts),
    ExecReady:
      phase === 'ready'
        ? ['True', 'Probed', 'a command ran in it']
        : context.reason === 'ProbeFailed'
          ? ['False', 'ProbeFailed', context.message]
          : ['False', 'NotChecked', 'no command has been tried in it yet'],
    UpToDate: driftVerdict(facts),
    Idle: idleVerdict(plan, facts),
    VaultApplied: vaultVerdict(context, facts),
    NameTaken:
      facts.ownership.foreign === null
        ? ['False', 'NameFree', 'no foreign container has its name']
        : ['True', consentedForeign(facts) === null ? 'ForeignContainer' : 'AdoptRequested', foreignMessage(facts)],
  };
}

function readyVerdict(plan: Plan, facts: Facts): Verdict {
  const message = messageOf(plan, facts);
  if (pauseFor(plan, facts) === 'in-the-way') return ['False', 'Paused', message];
  if (plan.phase === 'absent' && waitsForDrain(facts)) return ['False', 'Drained', message];
  if (plan.phase === 'absent' && waitOfPlace(plan.context, facts) !== null) return ['False', 'AdmissionWait', message];
  const reasons: Record<Phase, Reason> = {
    absent: 'Absent',
    provisioning: 'Provisioning',
    ready: plan.step === 'active' ? 'Active' : 'Detached',
    reaping: 'Reaping',
    failed: plan.context.reason ?? 'ContainerDied',
  };
  return [plan.phase === 'ready' ? 'True' : 'False', reasons[plan.phase], message];
}

function imageVerdict(context: BoxContext, facts: Facts): Verdict {
  if (facts.boxClass === null) return ['Unknown', 'ClassUnknown', 'its class is not configured'];
  const { image } = facts.boxClass;
  switch (facts.image.state) {
    case 'present':
      return ['True', 'ImagePresent', image];
    case 'pulling':
      return ['False', 'ImagePulling', `${image} is being pulled`];
    case 'forbidden':
      return ['False', 'ImageMissing', `${image} is absent and pullPolicy is Never`];
    case 'wanted':
      return context.reason === 'PullFailed'
        ? ['False', 'PullFailed', context.message]
        : ['False', 'ImageMissing', `${image} is not there yet`];
    case 'unknown':
      return ['Unknown', 'NotChecked', image];
  }
}

function homeVerdict(facts: Facts): Verdict {
  switch (facts.home.state) {
    case 'present':
      if (facts.home.rightOwner) return ['True', 'HomePresent', 'the home is there'];
      return [
        'False',
        'HomeWrongOwner',
        "the home belongs to another user id than the class's; it is mounted as it is",
      ];
    case 'absent':
      return ['False', 'HomeMissing', 'the home is made with the first box'];
    case 'not-given':
      return ['False', 'HomeWrongOwner', "the home is root's; it is given to its user before the next box is made"];
    case 'unusable':
      return ['False', 'HomeFailed', facts.home.message];
  }
}

/** Warns, and is nothing that anything waits for. */
function homeUsageVerdict({ homeUsage, boxClass }: Facts): Verdict {
  const quotaBytes = boxClass?.home.quota ?? null;
  const { usedBytes = null, isWhole = true, problem = '' } = homeUsage ?? {};
  if (usedBytes === null) {
    if (quotaBytes === null) return ['True', 'HomeNoQuota', 'its class sets none'];
    return ['Unknown', 'HomeNotMeasured', problem || 'nobody has looked yet what it takes up'];
  }
  const used = `${isWhole ? '' : 'at least '}${humanBytes(usedBytes)}`;
  if (quotaBytes === null) return ['True', 'HomeNoQuota', `${used}; its class sets no quota`];
  const quota = humanBytes(quotaBytes);
  if (isOverQuota({ usedBytes, quotaBytes })) return ['False', 'HomeOverQuota', `${used}, over the quota of ${quota}`];
  return ['True', 'HomeWithinQuota', `${used} of ${quota}`];
}

function containerVerdict(facts: Facts): Verdict {
  const { box } = facts.ownership;
  if (box === null) return ['False', 'ContainerMissing', 'there is no container'];
  switch (box.state) {
    case 'running':
      return ['True', 'ContainerRunning', 'the container runs'];
    case 'paused':
      return ['False', 'ContainerPaused', 'the container is paused'];
    case 'created':
      return ['False', 'ContainerCreated', 'the container was not started yet'];
    case 'restarting':
      return ['False', 'Provisioning', 'the engine restarts the container'];
    case 'removing':
    case 'dead':
      return ['False', 'ContainerRemoving', 'the container is being removed'];
    case 'exited':
      if (box.oomKilled) return ['False', 'OutOfMemory', 'the container was killed for want of memory'];
      return ['False', 'ContainerDied', 'the container ended'];
  }
}

function driftVerdict(facts: Facts): Verdict {
  if (facts.ownership.box === null || facts.spec === null) return ['Unknown', 'NotChecked', 'nothing to compare'];
  const fields = driftOf(facts);
  if (fields.length === 0) return ['True', 'SpecCurrent', 'it is as it would be made now'];
  const when = facts.rollout.paused ? rolloutPausedMessage(facts) : 'it is replaced once nobody holds it';
  return ['False', 'SpecDrift', `differs in ${fields.join(', ')}; ${when}; \`recreate\` makes a new one now`];
}

function idleVerdict(plan: Plan, facts: Facts): Verdict {
  if (plan.phase !== 'ready') return ['False', 'NotChecked', 'it is not ready'];
  if (facts.hasLease) return ['False', 'Active', 'a lease is live'];
  if (isIdleDue(plan.context, facts)) {
    return ['True', 'ReapPaced', 'idle reaps are paced; this one waits for its turn'];
  }
  if (plan.context.keepUntil > facts.now) return ['True', 'Amnesty', `kept: ${plan.context.keepCause}`];
  return ['True', 'Detached', 'nobody holds it'];
}

function unknownVerdicts(engineDown: string): Record<ConditionType, Verdict> {
  const unknown: Verdict = ['Unknown', 'EngineUnreachable', engineDown];
  return {
    Ready: unknown,
    EngineReachable: ['False', 'EngineUnreachable', engineDown],
    ImageReady: unknown,
    HomeReady: unknown,
    HomeUsage: unknown,
    ContainerReady: unknown,
    ExecReady: unknown,
    UpToDate: unknown,
    VaultApplied: unknown,
    Idle: unknown,
    NameTaken: unknown,
  };
}

function entriesOf(verdicts: Record<ConditionType, Verdict>): [ConditionType, Verdict][] {
  return ConditionType.options.map((type) => [type, verdicts[type]]);
}
