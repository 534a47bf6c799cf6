import { z } from 'zod';

/**
 * The only place that builds a user name, a key, a container name or a label.
 * A name is the identity: it is refused when it does not fit, never rewritten, so two users can never meet in one name.
 */

const userNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,38}$/;

export const UserName = z
  .string()
  .regex(userNamePattern, {
    error: 'a user name is 1 to 39 of A-Z a-z 0-9 . _ - and begins with a letter or a digit',
  })
  .refine((name) => !name.includes('..'), { error: 'a user name must not contain ".."' })
  .brand<'UserName'>();
export type UserName = z.infer<typeof UserName>;

/** Lease, session and class names share one shape: short, printable, safe in a URL and in a key. */
export const LeaseId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/, { error: 'an id is 1 to 100 of A-Z a-z 0-9 . _ : -' })
  .brand<'LeaseId'>();
export type LeaseId = z.infer<typeof LeaseId>;

export const ClassName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,38}$/, { error: 'a class name is 1 to 39 of a-z 0-9 -' });
export type ClassName = z.infer<typeof ClassName>;

export const InstallationId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, { error: 'an installation id is 1 to 32 of a-z 0-9 -' })
  .brand<'InstallationId'>();
export type InstallationId = z.infer<typeof InstallationId>;

const boxNamePrefix = 'spoon-box-';

export function boxNameOf(user: UserName): string {
  return boxNamePrefix + user;
}

/** The user whose box would have this container name; null where the name is no box's. */
export function userOfBoxName(containerName: string): UserName | null {
  if (!containerName.startsWith(boxNamePrefix)) return null;
  const parsed = UserName.safeParse(containerName.slice(boxNamePrefix.length));
  return parsed.success ? parsed.data : null;
}

/** Whatever follows: also what is no user's. */
export function isBoxName(containerName: string): boolean {
  return containerName.startsWith(boxNamePrefix);
}

/** The containers in which the worker of before Spoonbox ran one terminal of one job each. */
export function isFormerTerminalName(containerName: string): boolean {
  return containerName.startsWith('spoon-agent-term-');
}

export function networkNameOf(installation: InstallationId): string {
  return `spoonbox-${installation}`;
}

/** Labels on every container that an installation makes. `installation` alone decides what is ours. */
export const label = {
  installation: 'dev.spoonbox.installation',
  /** `box`, or `helper` for the one-shot containers that make a home or probe the work directory */
  role: 'dev.spoonbox.role',
  user: 'dev.spoonbox.user',
  class: 'dev.spoonbox.class',
  /** the desired generation that the container was made for */
  generation: 'dev.spoonbox.generation',
  /** the normalised spec as JSON: what drift is measured against */
  spec: 'dev.spoonbox.spec',
} as const;

/** The one key outside any installation's hash tag: which installation this Redis belongs to. */
export const installationKey = 'spoonbox:installation';

/** On the wake channel: something changed that concerns all users. No user has this name. */
export const everybody = '*';
/** Before the user in a message: nobody who works on the box has to act on it now. */
export const later = '>';

export interface UserKeys {
  readonly desired: string;
  readonly leases: string;
  readonly sessions: string;
  readonly status: string;
  readonly events: string;
  readonly vault: string;
  /** what is asked of the home for the vault's sake */
  readonly vaultOrders: string;
}

export interface Keys {
  readonly users: string;
  readonly leader: string;
  readonly heartbeat: string;
  readonly marker: string;
  readonly gateways: string;
  /** the reconciler's mode */
  readonly mode: string;
  /** whether rollouts are paused */
  readonly rollout: string;
  /** the last round of image pulls that an operator asked for */
  readonly pullRound: string;
  /** hash: class → which of the tools that it promises are in its image */
  readonly tools: string;
  /** what happened to all boxes; each user's own events are kept beside it */
  readonly events: string;
  /** channel: payload is the user whose desired state changed, after `later` where there is time, or `everybody` */
  readonly wakeChannel: string;
  /** channel: payload is the user whose status was committed, after `later` where it is only a record of a session */
  readonly statusChannel: string;
  readonly user: (user: UserName) => UserKeys;
  readonly usedToken: (jti: string) => string;
  /** hash: user → what the home takes up; and when a look at it began last */
  readonly homeUsage: string;
  readonly homeLooks: string;
  /** hash: token id → its record; the token itself is nowhere */
  readonly apiTokens: string;
  /** of the code in a login link, and of the cookie that it is changed for; both by their SHA-256 */
  readonly loginCode: (hash: string) => string;
  readonly login: (hash: string) => string;
}

/** All keys of an installation share one hash tag, so that one script may read the leader and a user's keys together. */
export function keysOf(installation: InstallationId): Keys {
  const prefix = `{spoonbox:${installation}}:`;
  return {
    users: `${prefix}users`,
    leader: `${prefix}leader`,
    heartbeat: `${prefix}heartbeat`,
    marker: `${prefix}marker`,
    gateways: `${prefix}gateways`,
    mode: `${prefix}mode`,
    rollout: `${prefix}rollout`,
    pullRound: `${prefix}pull-round`,
    tools: `${prefix}tools`,
    events: `${prefix}events`,
    wakeChannel: `${prefix}wake`,
    statusChannel: `${prefix}status`,
    user: (user) => ({
      desired: `${prefix}u:${user}:desired`,
      leases: `${prefix}u:${user}:leases`,
      sessions: `${prefix}u:${user}:sessions`,
      status: `${prefix}u:${user}:status`,
      events: `${prefix}u:${user}:events`,
      vault: `${prefix}u:${user}:vault`,
      vaultOrders: `${prefix}u:${user}:vault-orders`,
    }),
    usedToken: (jti) => `${prefix}jti:${jti}`,
    homeUsage: `${prefix}home-usage`,
    homeLooks: `${prefix}home-looks`,
    apiTokens: `${prefix}api-tokens`,
    loginCode: (hash) => `${prefix}login-code:${hash}`,
    login: (hash) => `${prefix}login:${hash}`,
  };
}
