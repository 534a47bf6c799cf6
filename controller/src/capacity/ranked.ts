import type { UserName } from '#shared/identity.ts';

/** Users in the order of a number, and of their names where that is the same: found, put in and taken out by halving. */
export class Ranked {
  readonly #users: { readonly user: UserName; readonly rank: number }[] = [];

  get size(): number {
    return this.#users.length;
  }

  /** How many come before whoever has this rank. */
  before(user: UserName, rank: number): number {
    let low = 0;
    let high = this.#users.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = this.#users[middle];
      if (at !== undefined && (at.rank < rank || (at.rank === rank && at.user < user))) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  add(user: UserName, rank: number): void {
    this.#users.splice(this.before(user, rank), 0, { user, rank });
  }

  remove(user: UserName, rank: number): void {
    const index = this.before(user, rank);
    if (this.#users[index]?.user === user) this.#users.splice(index, 1);
  }

  at(index: number): UserName | undefined {
    return this.#users[index]?.user;
  }

  *[Symbol.iterator](): Generator<UserName> {
    for (const { user } of this.#users) yield user;
  }
}
