import { z } from 'zod';
import { HomeView } from './home-usage.ts';
import { UserName } from './identity.ts';
import { LeasePriority } from './lease.ts';
import { Phase, Step } from './status.ts';

/**
 * What the HTTP API takes and answers beside boxes and leases: who may ask, the reconciler and its mode, what it would do
 * next, usage, the machine. As in `api-schemas.ts`, these schemas are the source of types, checks and documents. All times are
 * Redis TIME in ms.
 */

/** For people and events: one line of text. */
export const oneLine = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^\P{Cc}*$/u, { error: 'is one line without control characters' });

/** What a token may do; each may do all that those before it may. `viewer` reads, `jobs` holds boxes by job leases and runs commands. */
export const Role = z.enum(['viewer', 'jobs', 'admin']);
export type Role = z.infer<typeof Role>;

export const TokenId = z.string().regex(/^[a-z0-9]{12}$/, { error: 'a token id is 12 of a-z 0-9' });
export const TokenParams = z.strictObject({ id: TokenId });

const dayMs = 86_400_000;
export const ApiTokenBody = z.strictObject({
  name: oneLine(60).describe('who uses it, for people: ci, grafana'),
  role: Role,
  ttlMs: z
    .int()
    .min(60_000)
    .max(3_650 * dayMs)
    .optional()
    .describe('without it, it lasts until it is revoked'),
});
export type ApiTokenBody = z.infer<typeof ApiTokenBody>;

export const ApiToken = z.object({
  id: TokenId,
  name: z.string(),
  role: Role,
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  /** to the minute; null = never */
  lastUsedAt: z.number().nullable(),
});
export type ApiToken = z.infer<typeof ApiToken>;
export const ApiTokenList = z.object({ items: z.array(ApiToken) });
/** The only time that the token itself is shown: its hash is what is kept. */
export const ApiTokenReply = ApiToken.extend({ token: z.string() });
export type ApiTokenReply = z.infer<typeof ApiTokenReply>;

/** As what the console asks: no more than whoever makes the link, and as that where it is left out, like the whole body. */
export const LoginLinkBody = z.strictObject({ role: Role.optional() });
/** A link that logs one browser in, once. The code is in the fragment, so that no proxy and no log sees it. */
export const LoginLinkReply = z.object({ url: z.string(), expiresAt: z.number() });
export type LoginLinkReply = z.infer<typeof LoginLinkReply>;
export const LoginBody = z.strictObject({ code: z.string().min(1).max(200) });
/** Who asks: by token, or by a console's cookie. */
export const WhoAmI = z.object({
  role: Role,
  name: z.string(),
  by: z.enum(['token', 'cookie']),
  expiresAt: z.number().nullable(),
  /** where terminals are opened, as the tokens for them say */
  terminalUrl: z.string(),
});
export type WhoAmI = z.infer<typeof WhoAmI>;

/**
 * `run`; `drain`: no new boxes, all else goes on; `pause`: the reconciler changes nothing at all. What runs is touched by none.
 */
export const ReconcilerMode = z.enum(['run', 'drain', 'pause']);
export type ReconcilerMode = z.infer<typeof ReconcilerMode>;
export const ModeBody = z.strictObject({
  mode: ReconcilerMode,
  reason: oneLine(200).optional().describe('for people: why'),
});
export type ModeBody = z.infer<typeof ModeBody>;
export const ModeView = z.object({
  mode: ReconcilerMode,
  reason: z.string(),
  /** '' = nobody ever set one */
  by: z.string(),
  since: z.number(),
});
export type ModeView = z.infer<typeof ModeView>;

/** While paused, no box is replaced because its image or class changed; new boxes are made as ever. */
export const RolloutPause = z.object({
  paused: z.boolean(),
  reason: z.string(),
  /** '' = nobody ever paused one */
  by: z.string(),
  since: z.number(),
});
export type RolloutPause = z.infer<typeof RolloutPause>;

/** How the leader's loop does. */
export const LoopHealth = z.object({
  /** keys in the queue, being passed, and with a deadline */
  waiting: z.number(),
  processing: z.number(),
  scheduled: z.number(),
  /** how long the key that waits longest has waited */
  longestWaitMs: z.number(),
  /** of the last minute */
  passes: z.object({ count: z.number(), failed: z.number(), p50Ms: z.number(), p99Ms: z.number() }),
  lastResyncAgoMs: z.number().nullable(),
  lastResyncTookMs: z.number().nullable(),
  /** why Redis is not trusted to know who needs a box; null = it is */
  amnesty: z.string().nullable(),
  /** idle reaps: how many a minute may hold, how many it held so far, and ms until the next may be */
  pacer: z.object({ mostPerMinute: z.number(), lastMinute: z.number(), waitMs: z.number() }),
});
export type LoopHealth = z.infer<typeof LoopHealth>;

export const ReconcilerView = z.object({
  now: z.number(),
  mode: ModeView,
  leader: z.object({
    /** host:pid; '' = nobody leads */
    holder: z.string(),
    /** this very process leads */
    isThis: z.boolean(),
    lastBeatAt: z.number().nullable(),
  }),
  /** as the leader told last; null = none has */
  loop: LoopHealth.nullable(),
});
export type ReconcilerView = z.infer<typeof ReconcilerView>;

/** What a pass would do now: nothing is changed by asking. */
export const PlanView = z.object({
  user: UserName,
  now: z.number(),
  phase: Phase,
  step: Step.nullable(),
  next: z.object({ phase: Phase, step: Step.nullable() }),
  /** `none`, or what it would do to the box, and to what */
  command: z.string(),
  /** for people: `create spoon-box-alice from debian:12`; '' for none */
  does: z.string(),
  /** why: the name of the rule that decides */
  rule: z.string(),
  /** one sentence: what the box is, does, or waits for, after that */
  message: z.string(),
  /** the pass after that, if nothing happens meanwhile; null = none is due */
  nextLookMs: z.number().nullable(),
});
export type PlanView = z.infer<typeof PlanView>;
export const PlanList = z.object({ items: z.array(PlanView) });

/** What a box uses at this moment. */
export const BoxStats = z.object({
  user: UserName,
  /** processors, 0.5 = half of one; null at the first look, which has nothing to compare with */
  cpus: z.number().nullable(),
  cpusLimit: z.number(),
  /** without what the kernel can take back (page cache) */
  memoryBytes: z.number(),
  memoryLimitBytes: z.number(),
  pids: z.number(),
  /** what the home takes up, as the last look told; null = nobody has looked yet, or the controller is older than this field */
  home: HomeView.nullable().default(null),
});
export type BoxStats = z.infer<typeof BoxStats>;
export const StatsList = z.object({ now: z.number(), items: z.array(BoxStats) });

const OfLimits = z.object({ boxes: z.number().nullable(), memoryBytes: z.number().nullable() });
/** Places: how many boxes may be there at once, who has one, and who waits. */
export const CapacityView = z.object({
  now: z.number(),
  /** null = no limit */
  limits: OfLimits,
  /** by boxes that run, or that may at any moment */
  taken: z.object({ boxes: z.number(), memoryBytes: z.number() }),
  /** the first in line first */
  waiting: z.array(
    z.object({
      user: UserName,
      position: z.number(),
      /** the oldest of its leases was taken then */
      since: z.number(),
      priority: LeasePriority,
      memoryBytes: z.number(),
      /** the leases: `job of agent-7` */
      for: z.array(z.string()),
    }),
  ),
  boxes: z.array(
    z.object({
      user: UserName,
      /** `leaving`: it is being stopped and removed, and then its place is free */
      state: z.enum(['held', 'idle', 'leaving']),
      memoryBytes: z.number(),
      /** as `for` */
      heldBy: z.array(z.string()),
      /** the last activity; null = somebody holds it */
      idleSince: z.number().nullable(),
      /** from then on it makes room for who waits; null = not, as things are */
      givesWayAt: z.number().nullable(),
    }),
  ),
});
export type CapacityView = z.infer<typeof CapacityView>;

/** The box machine as it is defined: the console draws it, documents show it. */
export const MachineView = z.object({
  /** `provisioning.pulling`; only states that a box can be in */
  states: z.array(z.string()),
  /** in the order in which a state asks: the first rule that holds is taken. Without `to` it stays. */
  edges: z.array(z.object({ from: z.string(), to: z.string().nullable(), rule: z.string() })),
});
export type MachineView = z.infer<typeof MachineView>;

/** What each reason of a condition, or of the end of a lease, means, and what to do. */
export const ReasonList = z.object({
  items: z.array(z.object({ reason: z.string(), means: z.string(), whatToDo: z.string() })),
});
