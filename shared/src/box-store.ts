import { z } from 'zod';
import type { Checkout } from './checkout.ts';
import { homeUsageOf } from './home-usage.ts';
import { type ClassName, everybody, type Keys, later, type LeaseId, UserName } from './identity.ts';
import { parseJson } from './json.ts';
import {
  Desired,
  Hold,
  Lease,
  type LeaseKind,
  type LeasePriority,
  LeaseEndReason,
  Recorded,
  Session,
} from './lease.ts';
import { type ModeBody, ModeView, RolloutPause } from './operator-schemas.ts';
import type { RedisPort, ScriptName } from './redis-port.ts';
import { BoxPast, type BoxRecord, type BoxStatus, Phase, StatusBody } from './status.ts';

/** A user may hold this many live leases at once; one more is refused. */
export const maxLeasesPerUser = 64;

/**
 * For each class, how long a box lives without a holder, and with an attached terminal in which nothing happens; and after how
 * long without a holder it gives way to others who wait for a box (none: not before its detached idle is over).
 */
export type IdlePolicies = Readonly<
  Record<string, readonly [detachedIdleMs: number, attachedIdleMs: number, giveWayMs?: number]>
>;

export interface TakeLease {
  readonly user: UserName;
  readonly id: LeaseId;
  readonly kind: LeaseKind;
  /** who holds it, for people: `agent-7`, `terminal of alice` */
  readonly holder: string;
  readonly ttlMs: number;
  /** null = the class that the box has, or the default one */
  readonly class: ClassName | null;
  /** where boxes are waited for in line; none: as its kind has it */
  readonly priority?: LeasePriority | null;
  /** trace context (`traceparent`) of whoever asks; none: nobody traces */
  readonly trace?: string | null;
  /** the user's terminals that open while it lives are recorded; none: as far as it was asked for before */
  readonly record?: Recorded | null;
  /** where commands start that name the lease; none: as it is */
  readonly checkout?: Checkout | null;
}

export interface TakenLease {
  readonly leaseId: string;
  readonly expiresAt: number;
  readonly now: number;
  readonly generation: number;
  readonly class: string;
  readonly phase: Phase;
  /** the most that any live lease of the user wants recorded of a terminal */
  readonly record: 'off' | Recorded;
  /** '' while there is no container */
  readonly containerId: string;
  readonly past: BoxPast;
}

export type TakeRefusal = 'name-differs-by-case' | 'lease-mismatch' | 'class-held' | 'too-many-leases';

export interface Activity {
  /** ms since the last key press; null = none to tell */
  readonly inputAgeMs: number | null;
  readonly outputAgeMs: number | null;
}

export type Renewal =
  | { readonly ok: true; readonly expiresAt: number; readonly now: number; readonly wantedUntil: number }
  | { readonly ok: false; readonly refused: 'lease-ended'; readonly reason: LeaseEndReason }
  | { readonly ok: false; readonly refused: 'lease-unknown' };

export type Wish =
  | { readonly wish: 'reap' | 'recreate' | 'delete' }
  | { readonly wish: 'adopt'; readonly containerId: string; readonly atOnce: boolean };

/** Of which generation desired state has to be for a wish: one of these (0 = there is none), or '*' = whatever is known; null = any. */
export type IfGeneration = readonly number[] | '*' | null;

export interface BoxEvent {
  /** the stream's id: `<Redis TIME in ms>-<n>` */
  readonly id: string;
  readonly at: number;
  readonly reason: string;
  readonly message: string;
  readonly by: string;
  /** the edge of the machine that the box took with it; null = none */
  readonly edge: { readonly from: string; readonly to: string; readonly rule: string } | null;
  /** whose box it happened to, where the events are of all users */
  readonly user?: UserName;
}

export interface GatewayRecord {
  readonly id: string;
  /** where the gateway can be reached, for people and for `elsewhere` */
  readonly address: string;
  /** fingerprint of its terminal secret: two that differ are found at start-up */
  readonly fingerprint: string;
  /** of Spoonbox; none: one that is older than this field */
  readonly version?: string | undefined;
  /** ids of the keys that open vaults there, with commas between; '' = none is configured */
  readonly vaultKeyIds?: string | undefined;
}

export type SessionClaim =
  | { readonly ok: true; readonly before: Session | null }
  | { readonly ok: false; readonly refused: 'elsewhere'; readonly gateway: string; readonly address: string }
  | { readonly ok: false; readonly refused: 'ending' };

/** As whose a session is recorded while the sweep ends it. */
export const sweeper = 'sweep';

/**
 * What lease holders, operators and readers do to the state in Redis. Every method is one script, so one atomic step;
 * every method rejects when Redis does not answer, and the effect is then unknown: take, renew, release and wish may be
 * sent again. A reply that does not have the agreed shape is an error here, never a guess.
 */
export interface BoxStore {
  take(
    lease: TakeLease,
  ): Promise<{ ok: true; lease: TakenLease } | { ok: false; refused: TakeRefusal; detail: string }>;
  renew(user: UserName, id: LeaseId, ttlMs: number | null, activity: Activity): Promise<Renewal>;
  /** `null`: no such lease. `false`: it had ended before. */
  release(user: UserName, id: LeaseId, by: string): Promise<boolean | null>;
  read(user: UserName): Promise<BoxRecord>;
  users(): Promise<UserName[]>;
  wish(
    user: UserName,
    wish: Wish,
    by: string,
    ifGeneration?: IfGeneration,
  ): Promise<{ ok: true } | { ok: false; refused: string; detail: string }>;
  /** The reconciler's mode; nobody ever set one, or Redis lost it: `run`. */
  mode(): Promise<{ now: number; mode: ModeView }>;
  /** Once it is answered, no command is permitted any more that another mode would have allowed. */
  /** `ifSince`: only where the mode was set at one of these times (ms). Not `set`: another one stands, which is answered. */
  setMode(
    body: ModeBody,
    by: string,
    ifSince?: readonly number[] | null,
  ): Promise<{ now: number; mode: ModeView; set: boolean }>;
  /** Newest first; null = of all users, of which some thousand are kept. */
  events(user: UserName | null, count: number): Promise<BoxEvent[]>;
  /** What happened after the event with this id (of the same stream: one user's, or all users'), oldest first; '0-0' = all that are kept. */
  eventsAfter(user: UserName | null, id: string, count: number): Promise<BoxEvent[]>;
  /** True when the token id was not used before; remembered for `rememberMs`. */
  useToken(jti: string, rememberMs: number): Promise<boolean>;
  /**
   * Makes a session this gateway's, by writing its record. Refused where another gateway has it whose own lease lives,
   * unless `takeOver`, and while the sweep ends it. `before`: the record that another gateway left. `told` becomes an event of the box when it is not empty.
   */
  claimSession(session: Session, takeOver: boolean, told: string): Promise<SessionClaim>;
  /** Writes the record again; false where another gateway has taken the session over. */
  putSession(session: Session): Promise<boolean>;
  /** Removes the record where it is still that gateway's; false where another one has it, or nobody. */
  endSession(of: { user: UserName; id: string; gateway: string }, told: string, by?: string): Promise<boolean>;
  /**
   * Makes a session the sweep's, so that nobody begins it while it is ended; `endSession` as `sweeper` is to follow, and it can be
   * asked for again half a minute later. False where it is not `session.gateway`'s any more ('' = it has no record).
   */
  sweepSession(session: Session): Promise<boolean>;
  /** The records of a user's sessions alone: much cheaper than `read`, where there are none. */
  sessions(user: UserName): Promise<Session[]>;
  /** All gateways that have registered in the last day, with the end of their own leases (Redis TIME, ms). */
  gateways(): Promise<{ now: number; gateways: (GatewayRecord & { expiresAt: number })[] }>;
  /** Renews the gateway's own lease (`ttlMs` 0 gives it up); answers the leader's secret fingerprint, '' if none led yet. */
  registerGateway(gateway: GatewayRecord, ttlMs: number): Promise<string>;
  /**
   * The user is told whose desired state (`wake`) or status changed; `onGap` where it may be anybody's: messages may have been lost.
   * `when`: `later` where nobody who works on the box has to act on it now.
   */
  subscribe(
    what: 'wake' | 'status',
    onUser: (user: UserName, when: 'now' | 'later') => void,
    onGap: () => void,
  ): Promise<() => Promise<void>>;
}

export function createBoxStore(options: {
  redis: RedisPort;
  keys: Keys;
  policies: IdlePolicies;
  defaultClass: ClassName;
}): BoxStore {
  const { redis, keys, defaultClass } = options;
  const policies = JSON.stringify(options.policies);

  function eventsKey(user: UserName | null): string {
    return user === null ? keys.events : keys.user(user).events;
  }

  async function runFor(
    user: UserName,
    script: ScriptName,
    args: (string | number)[],
    more: readonly string[] = [],
  ): Promise<unknown> {
    const scriptKeys = [...userScriptKeys(keys, user), ...more];
    return await redis.run(script, scriptKeys, [user, keys.wakeChannel, keys.statusChannel, ...args]);
  }

  return {
    async take(lease) {
      const { id, kind, holder, ttlMs, trace, record, checkout, priority } = lease;
      const place = [lease.class ?? '', defaultClass, maxLeasesPerUser];
      const args = [id, kind, holder, ttlMs, ...place, trace ?? '', record ?? ''];
      args.push(checkout ? JSON.stringify(checkout) : '', priority ?? '');
      const reply = TakeReply.parse(fromJson(await runFor(lease.user, 'take-lease', args)));
      if ('refused' in reply) return { ok: false, ...reply };
      const { status, ...taken } = reply;
      return { ok: true, lease: { ...taken, past: pastIn(status) } };
    },
    async renew(user, id, ttlMs, activity) {
      const args = [id, ttlMs ?? '', age(activity.inputAgeMs), age(activity.outputAgeMs), policies];
      const reply = RenewReply.parse(fromJson(await runFor(user, 'renew-lease', args)));
      if ('expiresAt' in reply) return { ok: true, ...reply };
      if (reply.refused === 'lease-ended') return { ok: false, refused: 'lease-ended', reason: reply.detail };
      return { ok: false, refused: 'lease-unknown' };
    },
    async release(user, id, by) {
      const reply = ReleaseReply.parse(fromJson(await runFor(user, 'release-lease', [id, by])));
      return 'released' in reply ? reply.released : null;
    },
    async read(user) {
      return recordOf(user, await runFor(user, 'read-box', [policies], [keys.rollout, keys.homeUsage]));
    },
    async users() {
      // An entry that is no name is nobody's: it must not hide the others.
      return (await redis.hashValues(keys.users)).flatMap((name) => UserName.safeParse(name).data ?? []);
    },
    async wish(user, wish, by, ifGeneration = null) {
      const consent = wish.wish === 'adopt' ? [wish.containerId, wish.atOnce ? '1' : '0'] : ['', '0'];
      const wanted =
        ifGeneration === null || ifGeneration === '*' ? (ifGeneration ?? '') : JSON.stringify(ifGeneration);
      const args = [wish.wish, by, ...consent, defaultClass, wanted];
      const reply = WishReply.parse(fromJson(await runFor(user, 'wish', args)));
      return 'refused' in reply ? { ok: false, refused: reply.refused, detail: reply.detail } : { ok: true };
    },
    async mode() {
      return ModeReply.parse(fromJson(await redis.run('read-mode', [keys.mode], [])));
    },
    async setMode({ mode, reason }, by, ifSince = null) {
      const known = ifSince === null ? '' : JSON.stringify(ifSince);
      const args = [keys.wakeChannel, everybody, mode, reason ?? '', by, known];
      return SetModeReply.parse(fromJson(await redis.run('set-mode', [keys.mode], args)));
    },
    async events(user, count) {
      return (await redis.streamTail(eventsKey(user), count)).map(eventOf);
    },
    async eventsAfter(user, id, count) {
      return (await redis.streamAfter(eventsKey(user), id, count)).map(eventOf);
    },
    async useToken(jti, rememberMs) {
      return (await redis.run('use-token', [keys.usedToken(jti)], [Math.max(1, Math.ceil(rememberMs))])) === 1;
    },
    async claimSession(session, takeOver, told) {
      const { user, id, gateway } = session;
      const args = [user, keys.wakeChannel, keys.statusChannel, id, gateway, JSON.stringify(session)];
      const scriptKeys = [...userScriptKeys(keys, user), keys.gateways];
      const reply = ClaimReply.parse(
        fromJson(await redis.run('claim-session', scriptKeys, [...args, takeOver ? '1' : '0', told])),
      );
      if ('ending' in reply) return { ok: false, refused: 'ending' };
      if ('gateway' in reply) return { ok: false, refused: 'elsewhere', ...reply };
      return { ok: true, before: sessionOf(reply.before)[0] ?? null };
    },
    async putSession(session) {
      const args = [session.id, session.gateway, JSON.stringify(session)];
      return (await runFor(session.user, 'put-session', args)) === 1;
    },
    async endSession({ user, id, gateway }, told, by = 'gateway') {
      return (await runFor(user, 'end-session', [id, gateway, told, by])) === 1;
    },
    async sweepSession(session) {
      const args = [session.id, session.gateway, JSON.stringify(session)];
      return (await runFor(session.user, 'sweep-session', args)) === 1;
    },
    async sessions(user) {
      return (await redis.hashValues(keys.user(user).sessions)).flatMap(sessionOf);
    },
    async gateways() {
      const [now, lines] = GatewaysReply.parse(await redis.run('read-gateways', [keys.gateways], []));
      return { now, gateways: lines.flatMap((line) => Gateway.safeParse(parseJson(line)).data ?? []) };
    },
    async registerGateway(gateway, ttlMs) {
      const args = [gateway.id, ttlMs, JSON.stringify(gateway)];
      const reply = await redis.run('register-gateway', [keys.gateways, keys.heartbeat], args);
      return RegisterReply.parse(fromJson(reply)).fingerprint;
    },
    subscribe(what, onUser, onGap) {
      const channel = what === 'wake' ? keys.wakeChannel : keys.statusChannel;
      const onMessage = (payload: string): void => {
        const isLater = payload.startsWith(later);
        const user = UserName.safeParse(isLater ? payload.slice(later.length) : payload);
        if (user.success) onUser(user.data, isLater ? 'later' : 'now');
        else if (payload === everybody) onGap();
      };
      return redis.subscribe(channel, onMessage, onGap);
    },
  };
}

/** The KEYS that every script with `_box.lua` expects, in its order. */
export function userScriptKeys(keys: Keys, user: UserName): string[] {
  const own = keys.user(user);
  return [
    keys.users,
    keys.leader,
    keys.heartbeat,
    keys.marker,
    own.desired,
    own.leases,
    own.sessions,
    own.status,
    own.events,
    own.vault,
    keys.mode,
    keys.events,
    own.vaultOrders,
  ];
}

/** A script's JSON reply, still to be checked. */
export function fromJson(reply: unknown): unknown {
  if (typeof reply !== 'string') throw new Error(`a script answered ${typeof reply} where JSON was agreed`);
  return JSON.parse(reply);
}

function age(ms: number | null): number {
  return ms === null ? -1 : Math.max(0, Math.round(ms));
}

const TakeReply = z.union([
  z.object({
    refused: z.enum(['name-differs-by-case', 'lease-mismatch', 'class-held', 'too-many-leases']),
    detail: z.string(),
  }),
  z.object({
    leaseId: z.string(),
    expiresAt: z.number(),
    now: z.number(),
    generation: z.number(),
    class: z.string(),
    phase: Phase,
    containerId: z.string(),
    record: z.enum(['off', ...Recorded.options]),
    status: z.string(),
  }),
]);
const RenewReply = z.union([
  z.object({ expiresAt: z.number(), now: z.number(), wantedUntil: z.number() }),
  z.object({ refused: z.literal('lease-ended'), detail: LeaseEndReason }),
  z.object({ refused: z.literal('lease-unknown') }),
]);
const ReleaseReply = z.union([z.object({ released: z.boolean() }), z.object({ refused: z.literal('lease-unknown') })]);
const WishReply = z.union([
  z.object({ generation: z.number() }),
  z.object({ refused: z.string(), detail: z.string().default('') }),
]);
const ClaimReply = z.union([
  z.object({ gateway: z.string(), address: z.string() }),
  z.object({ ending: z.literal(true) }),
  z.object({ before: z.string() }),
]);
const Gateway = z.object({
  id: z.string(),
  address: z.string(),
  fingerprint: z.string(),
  version: z.string().optional(),
  vaultKeyIds: z.string().optional(),
  expiresAt: z.number(),
});
const RegisterReply = z.object({ fingerprint: z.string() });
const ModeReply = z.object({ now: z.number(), mode: ModeView });
const SetModeReply = ModeReply.extend({ set: z.boolean() });
const EventEntry = z.object({
  reason: z.string(),
  message: z.string(),
  by: z.string(),
  user: UserName.optional(),
  edge: z.object({ from: z.string(), to: z.string(), rule: z.string() }).nullable().default(null).catch(null),
});

const flatHash = z.array(z.string()).transform((flat) => {
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) fields[flat[i] ?? ''] = flat[i + 1] ?? '';
  return fields;
});
const jsonLines = z.array(z.string().transform(fromJson));
/** A moment as the scripts print it: digits, and nothing that merely can be made a number. */
const Moment = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number);
const GatewaysReply = z.tuple([Moment, z.array(z.string())]);
const ModeLine = z.string().transform(fromJson).pipe(ModeView);
const RolloutLine = z.string().transform(fromJson).pipe(RolloutPause);
/** '' = never */
const Whenever = z.union([z.literal('').transform(() => null), Moment]);
const ReadReply = z.tuple([
  Moment,
  flatHash,
  jsonLines,
  flatHash,
  z.array(z.string()),
  jsonLines,
  Moment,
  ModeLine,
  RolloutLine,
  Moment,
  Whenever,
  z.string().transform(homeUsageOf),
]);
const Leases = z.array(Lease);
const Holds = z.array(Hold);
const StatusFields = z.object({
  version: z.coerce.number(),
  phase: Phase,
  containerId: z.string(),
  containerGeneration: z.coerce.number(),
  keepUntil: z.coerce.number(),
  keepCause: z.string(),
  body: z.string(),
});

function recordOf(user: UserName, reply: unknown): BoxRecord {
  const [now, desired, leaseLines, status, sessions, holds, wantedUntil, mode, ...more] = ReadReply.parse(reply);
  const [rollout, vaultRevision, givesWayAt, homeUsage] = more;
  const leases = Leases.parse(leaseLines);
  return {
    user,
    now,
    desired: 'generation' in desired ? Desired.parse(desired) : null,
    leases: leases.filter((lease) => lease.endedAt === undefined),
    ended: leases.filter((lease) => lease.endedAt !== undefined),
    sessions: sessions.flatMap(sessionOf),
    status: 'version' in status ? statusOf(status) : null,
    holds: Holds.parse(holds),
    vaultRevision,
    wantedUntil,
    givesWayAt,
    mode,
    rollout,
    homeUsage,
  };
}

/** One damaged record must not hide the user's other state: it is as good as lost. Its gateway writes it again. */
function sessionOf(line: string): Session[] {
  const parsed = Session.safeParse(parseJson(line));
  return parsed.success ? [parsed.data] : [];
}

/** History that somebody wrote by hand is shown as it is. */
function eventOf({ id, fields }: { id: string; fields: readonly string[] }): BoxEvent {
  const at = Number.parseInt(id, 10);
  const parsed = EventEntry.safeParse(parseJson(fields[1] ?? ''));
  if (!parsed.success) return { id, at, reason: 'Unreadable', message: fields.join(' '), by: '', edge: null };
  const { user, ...event } = parsed.data;
  return { id, at, ...event, ...(user === undefined ? {} : { user }) };
}

function statusOf(fields: Record<string, string>): BoxStatus {
  const { body, containerId, ...rest } = StatusFields.parse(fields);
  return { ...rest, ...bodyOf(body), containerId: containerId === '' ? null : containerId };
}

/** One that cannot be read is as good as none. */
function pastIn(body: string): BoxPast {
  return BoxPast.safeParse(parseJson(body)).data ?? { lastReap: null, readyAt: null };
}

/** A body that cannot be read costs history and backoff, nothing else: the reconciler rebuilds it from the facts. */
function bodyOf(text: string): StatusBody {
  const parsed = StatusBody.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  return {
    value: null,
    context: null,
    step: null,
    conditions: [],
    message: 'the stored status could not be read and is made again',
    progress: null,
    observedGeneration: 0,
    lastReap: null,
    readyAt: null,
  };
}
