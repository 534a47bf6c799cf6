import type { BoxStore } from '#shared/box-store.ts';
import { EngineError } from '#shared/faults.ts';
import type { UserName } from '#shared/identity.ts';
import type { PlanView } from '#shared/operator-schemas.ts';
import type { ClassRollout } from '#shared/rollout.ts';
import type { BoxRecord } from '#shared/status.ts';
import { commandWords } from '../box/command-words.ts';
import type { ContainerView } from '../box/observed.ts';
import { containersByUser } from '../source/by-user.ts';
import { eachAtOnce } from '../sweep/each.ts';
import { type Decision, decide, decideOn, needsPlace } from './decide.ts';
import { endsLater } from './executor.ts';
import type { PassState, Sources } from './gather.ts';
import { type PacerStats, windowMs } from './pacer.ts';
import { surveyRollout } from './rollout-survey.ts';

/** Users who are looked at at once, each with a read of Redis and a look at the engine. */
const plansAtOnce = 8;

/** What a pass begins with, beside the record: of the term that this process leads, or of one that would begin now. */
export interface Vantage {
  readonly sources: Sources;
  readonly stateOf: (user: UserName, listed: readonly ContainerView[] | null) => PassState;
  /** of idle reaps: a pass asks only for itself, and many together may not begin more than it lets */
  readonly pacer: PacerStats;
}

/** What is planned for a user, and on what it stands. */
interface Planned {
  readonly record: BoxRecord;
  readonly decision: Decision;
}

/** What the next pass would do. Asking reads, and changes nothing: not the box, not its status, not what passes know. */
export interface Planner {
  /** null where nothing is known of this user and nothing of theirs is there */
  plan(user: UserName, signal: AbortSignal): Promise<PlanView | null>;
  /** Of everybody who is known or has a box of ours, by name. */
  planAll(signal: AbortSignal): Promise<PlanView[]>;
  /** How far newer images and classes have reached the boxes of each class. Rejects where the engine does not answer. */
  rollout(signal: AbortSignal): Promise<ClassRollout[]>;
}

export function createPlanner(options: {
  store: Pick<BoxStore, 'read' | 'users'>;
  /** Asked for each question: a term may have ended since the last. */
  vantage: () => Promise<Vantage>;
}): Planner {
  const { store } = options;

  /** null where nothing is known of this user and nothing of theirs is there */
  async function look(
    { sources, stateOf }: Vantage,
    user: UserName,
    listed: readonly ContainerView[] | null,
    signal: AbortSignal,
  ): Promise<Planned | null> {
    const record = await store.read(user);
    const decision = await decide(onlyLooking(sources), record, stateOf(user, listed), signal);
    return isNobody(record, decision) ? null : { record, decision };
  }

  return {
    async plan(user, signal) {
      const planned = await look(await options.vantage(), user, null, signal);
      return planned === null ? null : planView(planned);
    },
    async planAll(signal) {
      const vantage = await options.vantage();
      const known = new Set(await store.users());
      const seen = await listOf(vantage.sources, signal);
      const from = seen instanceof EngineError ? withoutEngine(vantage, seen) : vantage;
      const { installation } = vantage.sources;
      const byUser = seen instanceof EngineError ? null : containersByUser(seen, known, installation);
      const users = [...new Set([...known, ...(byUser?.keys() ?? [])])];
      const planned: Planned[] = [];
      await eachAtOnce(users, plansAtOnce, async (user) => {
        signal.throwIfAborted();
        const one = await look(from, user, byUser === null ? null : (byUser.get(user) ?? []), signal);
        if (one !== null) planned.push(one);
      });
      planned.sort((a, b) => (a.record.user < b.record.user ? -1 : 1));
      return paced(planned, vantage.pacer).map(planView);
    },
    async rollout(signal) {
      return await surveyRollout((await options.vantage()).sources, store, signal);
    },
  };
}

/** Each for itself may be reaped; together, only so many as places are free. Who of them gets one is not known before: the first by name, here. */
function paced(planned: readonly Planned[], { mostPerMinute, lastMinute }: PacerStats): Planned[] {
  let free = mostPerMinute - lastMinute;
  return planned.map((one) => {
    const { record, decision } = one;
    if (!needsPlace(record, decision)) return one;
    free -= 1;
    if (free >= 0) return one;
    return { record, decision: decideOn(record, { ...decision.facts, pacedUntil: record.now + windowMs }) };
  });
}

/** Whoever waits for a pull is told its progress; who merely asks is not one of them. */
function onlyLooking(sources: Sources): Sources {
  const { operations } = sources;
  return {
    ...sources,
    operations: {
      pullOf: (image) => operations.pullOf(image, null),
      wasPulled: (image) => operations.wasPulled(image),
      stopping: () => operations.stopping(),
    },
  };
}

async function listOf({ runtime }: Sources, signal: AbortSignal): Promise<ContainerView[] | EngineError> {
  try {
    return await runtime.list(signal);
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
}

/** An engine that did not answer the list is not asked once more for everybody: that could take minutes. */
function withoutEngine(vantage: Vantage, error: EngineError): Vantage {
  const { sources } = vantage;
  const runtime = { ...sources.runtime, observe: () => Promise.reject(error) };
  return { ...vantage, sources: { ...sources, runtime } };
}

function isNobody({ desired, status, leases }: BoxRecord, { facts }: Decision): boolean {
  return desired === null && status === null && leases.length === 0 && facts.ownership.box === null;
}

function planView({ record: { user, now, status }, decision: { facts, plan, body } }: Planned): PlanView {
  const { command, phase, step, rule, requeueAfterMs } = plan;
  return {
    user,
    now,
    phase: status?.phase ?? 'absent',
    step: status?.step ?? null,
    next: { phase, step },
    command: command.type,
    does: commandWords(command, facts),
    rule,
    message: body.message,
    // After a command that ends with its pass, the next one follows at once.
    nextLookMs: endsLater(command) ? requeueAfterMs : 0,
  };
}
