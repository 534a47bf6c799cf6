/**
 * At most `atOnce` starts at a time; those who wait are served user by user in turn, and first come first served within a
 * user, so that fifty reconnects of one do not starve another. Waiters are bounded by the number of sessions.
 *
 * INVARIANT: while somebody waits, `running === atOnce`.
 */
export class StartQueue {
  readonly #atOnce: number;
  #running = 0;
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
      this.#leave();
    }
  }

  #enter(user: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#running < this.#atOnce) {
      this.#running += 1;
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

  /** Hands the place to the next user's first, and puts that user last. */
  #leave(): void {
    for (const [user, line] of this.#waiting) {
      const turn = line.shift();
      this.#waiting.delete(user);
      if (line.length > 0) this.#waiting.set(user, line);
      if (turn) {
        turn();
        return;
      }
    }
    this.#running -= 1;
  }

  #drop(user: string, turn: () => void): void {
    const line = this.#waiting.get(user)?.filter((other) => other !== turn) ?? [];
    if (line.length > 0) this.#waiting.set(user, line);
    else this.#waiting.delete(user);
  }
}
