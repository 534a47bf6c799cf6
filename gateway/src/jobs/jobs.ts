import type { UserName } from '#shared/identity.ts';
import type { Ending } from '../ending.ts';
import type { GatewayLimits } from '../limits.ts';
import type { Refusal } from '../refusal.ts';

/** A command's place on this gateway. */
export interface JobPlace {
  /** aborted with an Ending when the command is to end */
  readonly signal: AbortSignal;
  end(ending: Ending): void;
  leave(): void;
}

/**
 * All commands of this gateway, and their limits. They have no records in Redis: nobody comes back to one. Where a gateway dies,
 * their leases expire, and the sweep then finds what is left in their boxes by its mark, within some minutes.
 */
export class Jobs {
  readonly #limits: GatewayLimits;
  readonly #open = new Map<JobPlace, UserName>();
  #closed: Ending | null = null;
  #whenEmpty: (() => void)[] = [];
  started = 0;

  constructor(limits: GatewayLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#open.size;
  }

  enter(user: UserName): JobPlace | Refusal {
    if (this.#closed) return { code: this.#closed.errorCode, detail: this.#closed.message };
    const { jobsPerGateway, jobsPerUser } = this.#limits;
    if (this.#open.size >= jobsPerGateway) {
      return { code: 'too-many-jobs', detail: `this gateway runs ${jobsPerGateway} commands; try again later` };
    }
    const ofUser = [...this.#open.values()].filter((other) => other === user).length;
    if (ofUser >= jobsPerUser) {
      return { code: 'too-many-jobs', detail: `${user} has ${ofUser} commands running here; wait for one to end` };
    }
    const end = new AbortController();
    const place: JobPlace = {
      signal: end.signal,
      end: (ending) => end.abort(ending), // the first reason stays
      leave: () => this.#left(place),
    };
    this.#open.set(place, user);
    this.started += 1;
    return place;
  }

  /** Ends all, and lets nobody in any more. */
  close(ending: Ending): void {
    this.#closed = ending;
    for (const place of this.#open.keys()) place.end(ending);
  }

  empty(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenEmpty.push(resolve));
  }

  #left(place: JobPlace): void {
    this.#open.delete(place);
    if (this.#open.size > 0) return;
    for (const resolve of this.#whenEmpty) resolve();
    this.#whenEmpty = [];
  }
}
