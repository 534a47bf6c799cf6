import type { Socket } from 'node:net';

/**
 * The connections of started execs: bytes go through as they come, in both directions.
 *
 * INVARIANTS
 * - A side that does not read stops the other side: nothing is kept but what the sockets' own buffers hold.
 * - An end in one direction ends that direction only, after its last byte; a connection that breaks takes the other with it.
 */
export class Streams {
  readonly #open = new Set<Socket>();

  /** Both sides of each count as one. */
  get count(): number {
    return Math.ceil(this.#open.size / 2);
  }

  join(client: Socket, engine: Socket): void {
    for (const [from, to] of [
      [client, engine],
      [engine, client],
    ] as const) {
      this.#open.add(from);
      from.on('error', () => {}); // a `close` follows
      from.once('close', () => {
        if (from.readableEnded) to.destroySoon();
        else to.destroy();
        this.#open.delete(from);
      });
      from.pipe(to);
    }
  }
}
