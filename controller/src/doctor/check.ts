import type { BoxClasses } from '#shared/box-class.ts';
import type { BoxStore } from '#shared/box-store.ts';
import type { Config } from '#shared/config.ts';
import type { Finding } from '#shared/finding.ts';
import type { RedisServer } from '#shared/redis-server.ts';
import type { VaultStore } from '#shared/vault-store.ts';
import type { InstallationId } from '#shared/identity.ts';
import type { HostEngine } from '../runtime/host-port.ts';
import type { VaultsAndKeys } from '../store/closed-vaults.ts';
import type { HomeStore } from '../store/home-store.ts';
import type { LeaderStore } from '../store/leader-store.ts';

export type DoctorConfig = Pick<
  Config,
  | 'workdir'
  | 'hostWorkdir'
  | 'terminalSecret'
  | 'internalToken'
  | 'encryptionKey'
  | 'publicWsUrl'
  | 'publicUrl'
  | 'limits'
  | 'warnings'
>;

/** What checks stand on. Each function asks anew, unless it says otherwise. */
export interface CheckDeps {
  readonly config: DoctorConfig;
  readonly classes: BoxClasses;
  readonly installation: InstallationId;
  readonly store: Pick<BoxStore, 'gateways' | 'users'>;
  readonly vault: VaultsAndKeys['vault'] & Pick<VaultStore, 'readable'>;
  readonly homes: Pick<HomeStore, 'all'>;
  readonly leaderStore: Pick<LeaderStore, 'secretOfLeader'>;
  /** this process's clock, ms since 1970 */
  readonly wallClockMs: () => number;
  /** Rejects with a StartError where none answers that can be used. */
  connect(): Promise<HostEngine>;
  /** The one of this examination. Rejects with a `NotChecked` where none answers: one check tells why. */
  engine(): Promise<HostEngine>;
  readRedis(): Promise<RedisServer>;
}

/** One thing that is looked at. It changes nothing, but for a one-shot helper container where it says so. */
export interface Check {
  /** the first word of its lines */
  readonly name: string;
  /** for the documents: what is looked at, and what is a failure or a warning */
  readonly looksAt: string;
  /** It asks Redis through the stores: where Redis does not answer, that is told once, and not by this check. */
  readonly needsRedis?: boolean;
  /** What it found by the time that it is aborted is told, where it answers at once; else only that its time was over. */
  run(deps: CheckDeps, signal: AbortSignal): Promise<readonly Finding[]>;
}

/** What it takes to check is missing, and another check says so. */
export class NotChecked extends Error {
  constructor(why: string) {
    super(why);
    this.name = 'NotChecked';
  }
}
