/**
 * At most `atOnce` starts at a time, and one of each user; those who wait are served user by user in turn, and first come
 * first served within a user, so that fifty reconnects of one do not starve another. Waiters are bounded by the number of
 * sessions.
 *
 * INVARIANT: while somebody waits, `atOnce` starts run, or one of that user.
 */
export class StartQueue {
  readonly #atOnce: number;
  readonly #running = new Set<string>();
  /** in the order in which users are served; no empty lines */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(atOnce: number) {
    this.#atOnce = atOnce;
  }

  async run<Result>(user: string, start: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    await this.#enter(user, signal);
    try {
      return await start();
    } finally {
      this.#leave(user);
    }
  }

  #enter(user: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running.size < this.#atOnce && !this.#running.has(user)) {
      this.#running.add(user);
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = (): void => {
        this.#drop(user, turn);
        reject(signal.reason);
      };
      signal.addEventListener('abort', giveUp, { once: true });
      const line = this.#waiting.get(user);
      if (line) line.push(turn);
      else this.#waiting.set(user, [turn]);
    });
  }

  /** Lets the next user in whom nothing keeps waiting, and puts that user last. */
  #leave(left: string): void {
    this.#running.delete(left);
    for (const [user, line] of this.#waiting) {
      if (this.#running.has(user)) continue;
      const turn = line.shift();
      this.#waiting.delete(user);
      if (line.length > 0) this.#waiting.set(user, line);
      if (!turn) continue;
      this.#running.add(user);
      turn();
      return;
    }
  }

  #drop(user: string, turn: () => void): void {
    const line = this.#waiting.get(user)?.filter((other) => other !== turn) ?? [];
    if (line.length > 0) this.#waiting.set(user, line);
    else this.#waiting.delete(user);
  }
}
