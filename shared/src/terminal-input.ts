/**
 * What was typed and has not reached the shell for certain: kept, so that it can be sent again after a lost connection.
 *
 * Positions count this client's input from its first byte on. The gateway counts for itself, from `#zero` on.
 *
 * INVARIANTS
 * - confirmed ≤ sent ≤ end, and the chunks hold exactly the bytes from confirmed to end
 * - at most `windowBytes` (and the chunk that crosses it) are sent and unconfirmed
 */
export class KeptInput {
  readonly #limits: InputLimits;
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  readonly #waiting: { readonly at: number; readonly go: () => void }[] = [];
  #confirmed = 0;
  #sent = 0;
  #end = 0;
  #zero = 0;

  constructor(limits: InputLimits) {
    this.#limits = limits;
  }

  /** Resolves once no more than a window of it is unconfirmed. The bytes are kept as they are: they must not be changed. */
  add(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const kept = this.#end - this.#confirmed + bytes.length;
    if (kept > this.#limits.mostBytes) {
      const why = `${kept} bytes would wait for the gateway, more than ${this.#limits.mostBytes}`;
      return Promise.reject(new RangeError(`input is refused: ${why}; wait for what was typed before`));
    }
    for (let at = 0; at < bytes.length; at += this.#limits.chunkBytes) {
      this.#chunks.push(bytes.subarray(at, at + this.#limits.chunkBytes));
    }
    this.#end += bytes.length;
    const room = this.#end - this.#limits.windowBytes;
    if (this.#confirmed >= room) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ at: room, go: resolve }));
  }

  /** What is to be sent next, which then counts as sent; null = nothing now. */
  next(): Uint8Array<ArrayBuffer> | null {
    if (this.#sent - this.#confirmed >= this.#limits.windowBytes) return null;
    let at = this.#confirmed;
    for (const chunk of this.#chunks) {
      if (this.#sent < at + chunk.length) {
        const rest = chunk.subarray(this.#sent - at);
        this.#sent += rest.length;
        return rest;
      }
      at += chunk.length;
    }
    return null;
  }

  /** The gateway has so many bytes by its count. */
  confirm(received: number): void {
    this.#forget(Math.min(this.#sent, this.#zero + received));
  }

  /** A new socket of the client that the gateway knows: what it has not received is sent again. */
  resume(received: number): void {
    this.confirm(received);
    this.#sent = this.#confirmed;
  }

  /**
   * Nobody can say what has arrived, or it was meant for another shell: it is dropped, what was `sent` or `all`, rather than
   * typed twice or where it does not belong. Answers how many bytes that are.
   */
  drop(what: 'sent' | 'all', received: number): number {
    const upTo = what === 'all' ? this.#end : this.#sent;
    const dropped = upTo - this.#confirmed;
    this.#sent = upTo;
    this.#zero = upTo - received;
    this.#forget(upTo);
    return dropped;
  }

  /** Nothing will be sent any more: whoever waits goes on. */
  close(): void {
    this.#forget(this.#end);
    this.#sent = this.#end;
  }

  #forget(upTo: number): void {
    while (this.#confirmed < upTo) {
      const [first] = this.#chunks;
      if (!first) break;
      const done = Math.min(first.length, upTo - this.#confirmed);
      if (done === first.length) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(done);
      this.#confirmed += done;
    }
    for (let next = this.#waiting[0]; next && next.at <= this.#confirmed; next = this.#waiting[0]) {
      this.#waiting.shift();
      next.go();
    }
  }
}

export interface InputLimits {
  /** one frame */
  readonly chunkBytes: number;
  /** sent and unconfirmed */
  readonly windowBytes: number;
  /** typed and unconfirmed, for callers that do not wait */
  readonly mostBytes: number;
}
