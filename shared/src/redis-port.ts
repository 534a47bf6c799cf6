/**
 * What we need of Redis: our scripts by name, two channels, and the server's run id.
 * The adapter on ioredis is in `redis.ts`; the simulation runs the same `.lua` files behind this port.
 */
export type ScriptName =
  | 'take-lease'
  | 'renew-lease'
  | 'release-lease'
  | 'read-box'
  | 'commit-status'
  | 'wish'
  | 'read-mode'
  | 'set-mode'
  | 'read-rollout'
  | 'pause-rollout'
  | 'ask-pulls'
  | 'report-pulls'
  | 'report-tools'
  | 'lead'
  | 'set-marker'
  | 'use-token'
  | 'claim-session'
  | 'put-session'
  | 'end-session'
  | 'sweep-session'
  | 'register-gateway'
  | 'read-gateways'
  | 'begin-home-look'
  | 'put-home-usage'
  | 'claim-installation'
  | 'make-token'
  | 'find-token'
  | 'list-tokens'
  | 'revoke-token'
  | 'put-login-code'
  | 'log-in'
  | 'find-login'
  | 'end-login'
  | 'read-vault'
  | 'write-vault'
  | 'reseal-vault'
  | 'count-vault-keys'
  | 'read-vault-orders'
  | 'take-vault-file'
  | 'settle-vault'
  | 'read-backup'
  | 'restore-user'
  | 'restore-tokens'
  | 'restore-modes';

export interface RedisPort {
  /** Runs one script atomically. Rejects when Redis does not answer; the effect is then unknown. */
  run(script: ScriptName, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
  /** All values of a hash. */
  hashValues(key: string): Promise<string[]>;
  /** The newest `count` entries of a stream, newest first: [id, field, value, …]. */
  streamTail(key: string, count: number): Promise<{ id: string; fields: string[] }[]>;
  /** The oldest `count` entries of a stream that come after `id`, oldest first; '0-0' = from its beginning. */
  streamAfter(key: string, id: string, count: number): Promise<{ id: string; fields: string[] }[]>;
  /** Changes at every start of the server. */
  runId(): Promise<string>;
  /**
   * Calls `onMessage` for each message of the channel, and `onGap` after every reconnect, when messages may have been lost.
   * While Redis is down the subscription waits for its return; it never rejects for that. The returned function ends it.
   */
  subscribe(channel: string, onMessage: (payload: string) => void, onGap: () => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}
