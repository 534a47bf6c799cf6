import { z } from 'zod';
import { humanDuration, relativeTime, utcTime } from '#shared/human-time.ts';
import type { Hold, Lease } from '#shared/lease.ts';
import type { BoxRecord, BoxStatus, DrainCause, PullProgress } from '#shared/status.ts';

/** Idle times of the box's class; null where the class is not known here. */
export type IdleTimes = { readonly detached: number; readonly attached: number } | null;

export const onlyHomeSurvives = 'only the home survives a reap';

const drained: Record<DrainCause, string> = {
  idle: 'nobody needed it any more',
  'gave-way': 'nobody held it, and it gave way to others who waited for a box',
  reap: 'an operator reaped it',
  recreate: 'an operator had it made again',
  deleted: 'an operator deleted it',
  adopt: 'an operator allowed to replace it',
  stopped: 'it did not run any more',
  duplicate: 'it was a second box of the same user',
  rollout: 'its image or class changed while nobody held it',
};

/** The context is the machine's; of it, only the time of the next try is told. */
const RetryAt = z.object({ retryAt: z.number() });

/** Why a box is alive or is not, and until when: sentences for people, the most important one first. Pure. */
export function whyOf(record: BoxRecord, idle: IdleTimes): string[] {
  const phase = record.status?.phase ?? 'absent';
  const sentences = [...stateOf(record), ...obstaclesOf(record.status)];
  if (phase === 'absent') return [...sentences, ...record.leases.map((lease) => waitingLease(lease, record.now))];
  if (phase === 'reaping') return [...sentences, ...record.leases.map((lease) => waitingLease(lease, record.now))];
  sentences.push(...holdersOf(record, idle));
  if (phase === 'ready' && record.now >= record.wantedUntil) {
    sentences.push(overdue(record.status));
  }
  const wish = wishOf(record);
  return wish === null ? sentences : [wish, ...sentences];
}

/** What it does at the moment, where that needs a word. */
function stateOf(record: BoxRecord): string[] {
  const { status, now } = record;
  switch (status?.phase ?? 'absent') {
    case 'ready':
      return [];
    case 'provisioning':
      return [`waits: ${waitOf(status)}`];
    case 'reaping':
      return [`is being reaped: ${status?.message || 'it is stopped and removed'}; ${onlyHomeSurvives}`];
    case 'failed':
      return [`failed: ${status?.message ?? ''}; ${nextTry(status, now)}`];
    case 'absent': {
      const last = status?.lastReap;
      if (!last) return [record.leases.length > 0 ? 'absent: not made yet' : 'absent: nobody has asked for it yet'];
      const why = last.message || drained[last.cause];
      return [`absent: reaped at ${utcTime(last.at, now)} because ${why}; ${onlyHomeSurvives}`];
    }
  }
}

/** What is in the way, whatever the phase. */
function obstaclesOf(status: BoxStatus | null): string[] {
  return (status?.conditions ?? []).flatMap(({ type, status: is, reason, message }) => {
    if (type === 'NameTaken' && is === 'True') return [`its name is taken: ${message}`];
    if (type === 'EngineReachable' && is === 'False')
      return [`nothing can be done now: the container engine does not answer (${message})`];
    const isHeld = reason === 'Drained' || reason === 'Paused' || reason === 'AdmissionWait';
    // Of the other phases the sentence of the state says it.
    return isHeld && (status?.phase === 'absent' || status?.phase === 'ready') ? [`waits: ${message}`] : [];
  });
}

/** What a box that is being made waits for, in words. */
export function waitOf(status: BoxStatus | null): string {
  if (status?.progress && status.step === 'pulling') return pullWords(status.progress);
  return status?.message || 'the controller has not looked at it yet';
}

function pullWords({ doneBytes, totalBytes }: PullProgress): string {
  return totalBytes > 0
    ? `image is pulled ${Math.min(100, Math.floor((doneBytes / totalBytes) * 100))} %`
    : 'image is pulled';
}

function nextTry(status: BoxStatus | null, now: number): string {
  const parsed = RetryAt.safeParse(status?.context);
  const retryAt = parsed.success ? parsed.data.retryAt : 0;
  return retryAt > now ? `next try in ${humanDuration(retryAt - now)}` : 'the next try is due';
}

function holdersOf(record: BoxRecord, idle: IdleTimes): string[] {
  const leases = record.leases
    .filter((lease) => lease.kind !== 'terminal')
    .map((lease) => {
      const then = idle ? `, then kept ${humanDuration(idle.detached)}` : '';
      return `held by ${lease.kind} lease ${lease.id} of ${lease.holder} ${until(lease.expiresAt, record.now)}${then}`;
    });
  const others = record.holds
    .filter((hold) => hold.untilMs > record.now)
    .flatMap((hold) => otherHold(hold, record, idle) ?? []);
  return [...leases, ...others];
}

function otherHold(hold: Hold, record: BoxRecord, idle: IdleTimes): string | null {
  const end = until(hold.untilMs, record.now);
  switch (hold.by) {
    case 'job':
    case 'pin':
      return null; // told with its lease
    case 'attached': {
      const count = record.leases.filter((lease) => lease.kind === 'terminal').length;
      const after = idle ? `${humanDuration(idle.attached)} without input or output` : 'its idle time';
      const what = count > 1 ? `${count} attached terminals` : 'attached terminal';
      return `${what}; will be reaped after ${after} (as it is now: ${utcTime(hold.untilMs, record.now)}, ${relativeTime(hold.untilMs, record.now)})`;
    }
    case 'activity':
      return `kept by recent activity (${hold.holder}) ${end}`;
    case 'keep': {
      const amnesty = /^amnesty: (.+)$/.exec(hold.holder)?.[1];
      if (amnesty) return `kept because ${amnesty} (amnesty) ${end}`;
      return `kept ${end}: ${hold.holder || 'no cause was recorded'}`;
    }
  }
}

function waitingLease(lease: Lease, now: number): string {
  return `${lease.kind} lease ${lease.id} of ${lease.holder} waits for it ${until(lease.expiresAt, now)}`;
}

function overdue(status: BoxStatus | null): string {
  const idle = status?.conditions.find(({ type }) => type === 'Idle');
  return idle?.reason === 'ReapPaced' ? `nothing holds it; ${idle.message}` : 'nothing holds it: it is reaped next';
}

/** An operator's wish that the reconciler has not fulfilled yet. */
function wishOf({ desired, status }: BoxRecord): string | null {
  if (!desired || !status) return null;
  if (status.containerGeneration < desired.reapGeneration) {
    const asked = desired.deletedAt === undefined ? 'be reaped' : 'be deleted';
    return `an operator asked for it to ${asked}; ${onlyHomeSurvives}`;
  }
  if (status.containerGeneration < desired.recreateGeneration) {
    return `an operator asked for it to be made again; ${onlyHomeSurvives}`;
  }
  return null;
}

function until(atMs: number, now: number): string {
  return `until ${utcTime(atMs, now)} (${relativeTime(atMs, now)})`;
}
