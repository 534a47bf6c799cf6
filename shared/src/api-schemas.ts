import { z } from 'zod';
import { Checkout } from './checkout.ts';
import { HomeView } from './home-usage.ts';
import { ClassName, LeaseId, UserName } from './identity.ts';
import { Lease, LeaseEndReason, LeaseKind, LeasePriority, Recorded, Session } from './lease.ts';
import { oneLine } from './operator-schemas.ts';
import { Condition, LastReap, Phase, PullProgress, Step } from './status.ts';
import { defaultTokenTtlMs, Directory, DisplayName, SessionId } from './terminal-claims.ts';
import { TerminalMode } from './terminal-mode.ts';

/** What the HTTP API takes and answers. These schemas are the source of the types, of the checks, and of the documents. */

/** The longest that a request may wait for a box. */
export const maxWaitMs = 120_000;
export const maxEventsListed = 200;

const flag = z.literal(['1', 'true'], { error: 'is 1 where it is given' }).transform(() => true);

/** A number in a query: digits only, so that neither '' nor '1e3' passes. */
function count(max: number, min = 0) {
  const error = `is a whole number from ${min} to ${max}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, { error })
    .transform(Number)
    .pipe(z.number().min(min, { error }).max(max, { error }));
}

export const NoQuery = z.strictObject({});
export const BoxParams = z.strictObject({ user: UserName });
export const LeaseParams = z.strictObject({ user: UserName, id: LeaseId });
export type LeaseParams = z.infer<typeof LeaseParams>;

export const WatchQuery = z.strictObject({ watch: flag.optional() });
/** The most boxes that one page holds. */
export const maxPageSize = 500;
export const ListQuery = z.strictObject({
  watch: flag.optional(),
  limit: count(maxPageSize, 1).default(maxPageSize).describe('the most that are answered at once'),
  continue: z.string().max(200).optional().describe('as the page before said'),
  selector: z.string().max(500).optional().describe('phase=ready,class!=small'),
});
/** With `watch`, `limit` says how many of the past come first; none without it. */
export const EventsQuery = z.strictObject({ watch: flag.optional(), limit: count(maxEventsListed).optional() });
export const WaitQuery = z.strictObject({ waitMs: count(maxWaitMs).default(0) });

export const LeaseBody = z.strictObject({
  kind: LeaseKind,
  holder: oneLine(100).describe('who holds it, for people: agent-7'),
  ttlMs: z.number().describe('10 s to 5 min; a pin up to 30 days'),
  class: ClassName.optional().describe('the class the box is to have; as it is, or the default one, without it'),
  record: Recorded.optional().describe('record the terminals of the user that open while it lives'),
  checkout: Checkout.optional().describe('where commands start that name the lease; made before the first of them'),
  priority: LeasePriority.optional().describe(
    'where its box stands among those who wait for a place; normal without it, high for a terminal',
  ),
});
export type LeaseBody = z.infer<typeof LeaseBody>;

export const RenewBody = z.strictObject({ ttlMs: z.number().optional().describe('as taken, without it') });

export const TerminalTokenBody = z.strictObject({
  mode: TerminalMode.default('rw'),
  directory: Directory.optional().describe('where the shell starts: below the checkout, or else below the home'),
  checkout: Checkout.optional().describe('where the shell starts; made before it'),
  session: SessionId.optional().describe('a new one without it; one that is there is joined'),
  name: DisplayName.optional().describe('who looks, where that is not the user'),
  record: z.enum(['output', 'input']).optional().describe('record this session, also where its class does not ask'),
  ttlMs: z.int().min(1_000).max(defaultTokenTtlMs).default(defaultTokenTtlMs),
});

/** Reap and recreate are always done at once; `now` may say so. */
const atOnce = z.literal(true).optional();
export const ActionBody = z.discriminatedUnion('action', [
  z.strictObject({ action: z.literal('reap'), now: atOnce }),
  z.strictObject({ action: z.literal('recreate'), now: atOnce }),
  z.strictObject({
    action: z.literal('adopt'),
    containerId: z
      .string()
      .regex(/^[0-9a-f]{12,64}$/, { error: 'is the id of the container that may be replaced: 12 to 64 hex digits' }),
    now: z.boolean().default(false).describe('also over programs that run in it'),
  }),
]);
export type ActionBody = z.infer<typeof ActionBody>;

export const DesiredView = z.object({
  class: z.string(),
  generation: z.number(),
  lastActivityAt: z.number(),
  lastActivityCause: z.string(),
  lastInputAt: z.number(),
  reapGeneration: z.number(),
  recreateGeneration: z.number(),
  adoptContainerId: z.string(),
  adoptAtOnce: z.boolean(),
  deletedAt: z.number().nullable(),
});

/** Which trace took it is its holder's own affair. */
export const LeaseView = Lease.omit({ trace: true });
/** Without what lets sockets in again, and what only a next shell needs. */
export const SessionView = Session.omit({ tickets: true, directory: true, checkout: true });
export const EndedLease = LeaseView.extend({ endedAt: z.number(), endReason: LeaseEndReason });

/** Everything that is known of one user's box at one moment. All times are Redis TIME in ms. */
export const BoxView = z.object({
  user: UserName,
  now: z.number(),
  phase: Phase,
  step: Step.nullable(),
  /** one sentence: what the box is, does, or waits for */
  message: z.string(),
  /** the box can be used: it is ready, and is the one that is wanted now */
  ready: z.boolean(),
  class: z.string().nullable(),
  containerId: z.string().nullable(),
  readyAt: z.number().nullable(),
  /** a running box is kept until then; null when nothing holds it */
  until: z.number().nullable(),
  /** sentences: why the box is alive (or is not), and until when */
  why: z.array(z.string()),
  progress: PullProgress.nullable(),
  conditions: z.array(Condition),
  /** live ones */
  leases: z.array(LeaseView),
  /** those that ended in the last 10 minutes, with the reason; the newest first */
  endedLeases: z.array(EndedLease),
  sessions: z.array(SessionView),
  desired: DesiredView.nullable(),
  lastReap: LastReap.nullable(),
  /** what the home takes up; null = nobody has looked yet, or the controller is older than this field */
  home: HomeView.nullable().default(null),
});
export type BoxView = z.infer<typeof BoxView>;

/** `continue`: what to ask with for the rest; null = this is all. */
export const BoxList = z.object({ items: z.array(BoxView), continue: z.string().nullable().default(null) });
export type BoxList = z.infer<typeof BoxList>;

export const LeaseReply = z.object({
  lease: z.object({ id: LeaseId, user: UserName, expiresAt: z.number() }),
  now: z.number(),
  ready: z.boolean(),
  /** one sentence; null when the box is ready */
  waitsFor: z.string().nullable(),
  box: BoxView,
});
export type LeaseReply = z.infer<typeof LeaseReply>;

export const RenewReply = z.object({ expiresAt: z.number(), now: z.number() });
/** `released` is false where the lease had ended before. */
export const ReleaseReply = z.object({ released: z.boolean() });

export const TerminalTokenReply = z.object({
  token: z.string(),
  url: z.string(),
  session: z.string(),
  /** ms since 1970 by the API's clock */
  expiresAt: z.number(),
});
export type TerminalTokenReply = z.infer<typeof TerminalTokenReply>;

export const BoxEventView = z.object({
  id: z.string(),
  /** as asked for where it is left out */
  user: UserName.optional(),
  at: z.number(),
  reason: z.string(),
  message: z.string(),
  by: z.string(),
  /** the edge of the machine that the box took with it, and the rule that led there; null = none */
  edge: z.object({ from: z.string(), to: z.string(), rule: z.string() }).nullable().default(null),
});
export type BoxEventView = z.infer<typeof BoxEventView>;
export const EventList = z.object({ items: z.array(BoxEventView) });

export const ClassView = z.object({
  name: z.string(),
  description: z.string(),
  image: z.string(),
  /** changes whenever anything in the class does */
  hash: z.string(),
  limits: z.object({ memoryBytes: z.number(), cpus: z.number(), pids: z.number() }),
  idle: z.object({ detachedMs: z.number(), attachedMs: z.number() }),
  stopGraceMs: z.number(),
  /** what the class promises of its image; `unproved` until a box of the newest image was ready */
  tools: z.array(
    z.object({
      name: z.string(),
      state: z.enum(['present', 'missing', 'unproved']),
      /** as the tool told it; '' = not asked for */
      version: z.string(),
      /** why it is missing; '' otherwise */
      message: z.string(),
    }),
  ),
});
export type ClassView = z.infer<typeof ClassView>;
export const ClassList = z.object({ items: z.array(ClassView) });

/**
 * Events of a watch of boxes: `full` where the full state follows (a client then replaces all that it has), `box` (a BoxView),
 * `removed`, `synced` once all is told that was before; then changes. `end` (a problem) is the last one. Of a watch of events:
 * `happened` (a BoxEventView), and `missed` where some before the next one are not kept any more.
 */
export const RemovedEvent = z.object({ user: UserName });
