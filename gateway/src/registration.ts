import type { BoxStore, GatewayRecord } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import type { Logger } from '#shared/log.ts';
import type { GatewayLimits } from './limits.ts';
import type { Sessions } from './sessions.ts';

/**
 * The gateway's own lease in Redis, by which others know that it lives. Each round also ends records that are left over, and
 * compares terminal secrets with the leading controller, so that two that differ are found here and not by a user.
 */
export class Registration {
  readonly #deps: RegistrationDeps;
  #cancel: () => void = () => {};
  #stopped = false;
  #lastOkMs: number | null = null;
  #toldFingerprint = '';
  #failing = false;
  #underWay: Promise<void> = Promise.resolve();

  constructor(deps: RegistrationDeps) {
    this.#deps = deps;
  }

  /** Whether Redis has answered within the registration's life. */
  isCurrent(): boolean {
    const { clock, limits } = this.#deps;
    return this.#lastOkMs !== null && clock.monotonicMs() - this.#lastOkMs < limits.registrationTtlMs && !this.#failing;
  }

  async start(): Promise<void> {
    await this.now();
    this.#next();
  }

  /** One round. Never rejects. */
  now(): Promise<void> {
    this.#underWay = this.#underWay.then(() => (this.#stopped ? undefined : this.#round()));
    return this.#underWay;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    await this.#underWay;
    await this.#deps.store.registerGateway(this.#deps.gateway, 0).catch((error: unknown) => {
      this.#deps.log.warn({ error }, 'registration not given back; it expires by itself');
    });
  }

  #next(): void {
    if (this.#stopped) return;
    this.#cancel = this.#deps.clock.after(this.#deps.limits.registerEveryMs, () => {
      void this.now().then(() => this.#next());
    });
  }

  async #round(): Promise<void> {
    const { store, gateway, limits, sessions, log, clock } = this.#deps;
    try {
      const leaders = await store.registerGateway(gateway, limits.registrationTtlMs);
      const nowMs = clock.monotonicMs();
      // Others may have taken this gateway for dead, and its sessions over: writing their records again tells.
      if (this.#lastOkMs !== null && nowMs - this.#lastOkMs >= limits.registrationTtlMs) sessions.recordAgain();
      this.#lastOkMs = nowMs;
      this.#failing = false;
      this.#compare(leaders);
      await sessions.endLeftRecords();
    } catch (error) {
      if (!this.#failing) log.warn({ error }, 'gateway not registered; trying again');
      this.#failing = true;
    }
  }

  #compare(leaders: string): void {
    const own = this.#deps.gateway.fingerprint;
    if (leaders === own || leaders === '') this.#toldFingerprint = '';
    else if (leaders !== this.#toldFingerprint) {
      this.#toldFingerprint = leaders;
      this.#deps.log.error(
        { own, leaders },
        'the controller signs terminal tokens with another secret: every token will be refused; give both processes the same SPOON_AGENT_TERMINAL_SECRET',
      );
    }
  }
}

export interface RegistrationDeps {
  readonly store: BoxStore;
  readonly clock: Clock;
  readonly limits: GatewayLimits;
  readonly log: Logger;
  readonly gateway: GatewayRecord;
  readonly sessions: Pick<Sessions, 'recordAgain' | 'endLeftRecords'>;
}
