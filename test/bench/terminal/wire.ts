/** A terminal as a benchmark holds it, whatever lies between it and the shell. */

export interface WireEnd {
  send(text: string): void;
  /** The client has parsed so many bytes more: acknowledged, where the other end knows acks; else see `hold`. */
  parsed?(bytes: number): void;
  /** Where there are no acks: stop and go on reading. */
  hold?(isHeld: boolean): void;
  /** From now on nothing is read, and nothing is said. */
  stall?(): void;
  /** Gone without a word, as a network is. */
  drop(): void;
  /** As a tab that is closed. */
  close(): void;
}

/** What a client without acks keeps unparsed, so that it never reads faster than it parses. */
const highBytes = 256 * 1024;
const lowBytes = 64 * 1024;

export class Wire {
  /** from the start of its opening to its first byte */
  readonly firstByteMs: Promise<number>;
  /** the shell can be typed to; rejects where it will not */
  readonly ready: Promise<void>;
  readonly ended: Promise<void>;
  readonly #startedAtMs = performance.now();
  readonly #end: Promise<WireEnd>;
  #now: WireEnd | null = null;
  #listener: (chunk: Buffer) => void = (chunk) => this.parsed(chunk.length);
  #onFirst: (ms: number) => void = () => {};
  #onEnd: () => void = () => {};
  #unparsedBytes = 0;
  #isHeld = false;

  /** `open` resolves when the shell is there, and gives bytes and the end to the wire. */
  constructor(open: (wire: Wire) => Promise<WireEnd>) {
    this.firstByteMs = new Promise((resolve) => {
      this.#onFirst = resolve;
    });
    this.ended = new Promise((resolve) => {
      this.#onEnd = resolve;
    });
    this.#end = open(this);
    this.ready = this.#end.then((end) => {
      this.#now = end;
    });
  }

  /** Every chunk from now on; who listens calls `parsed` for all of it, sooner or later. */
  listen(listener: (chunk: Buffer) => void): void {
    this.#listener = listener;
  }

  send(text: string): void {
    this.#sure().send(text);
  }

  parsed(bytes: number): void {
    this.#unparsedBytes -= bytes;
    if (this.#isHeld && this.#unparsedBytes <= lowBytes) this.#hold(false);
    this.#now?.parsed?.(bytes);
  }

  /** Waits for `mark` in what comes from now on, and parses all at once. Answers when it came. */
  sees(mark: string, withinMs = usualWithinMs): Promise<number> {
    return this.until((chunk, tail) => Buffer.concat([tail, chunk]).includes(mark), mark, withinMs);
  }

  /** The same for so many bytes. */
  counts(bytes: number, withinMs: number): Promise<number> {
    let left = bytes;
    const isOver = (chunk: Buffer): boolean => {
      left -= chunk.length;
      return left <= 0;
    };
    return this.until(isOver, `${bytes} bytes`, withinMs);
  }

  /** `tail`: the end of what came before, so that no mark is cut. */
  until(isIt: (chunk: Buffer, tail: Buffer) => boolean, what: string, withinMs: number): Promise<number> {
    return new Promise((resolve, reject) => {
      let tail: Buffer = Buffer.alloc(0);
      const late = setTimeout(() => {
        reject(new Error(`no ${what} within ${withinMs} ms; the last: ${JSON.stringify(String(tail))}`));
      }, withinMs);
      this.listen((chunk) => {
        const found = isIt(chunk, tail);
        tail =
          chunk.length >= tailBytes ? chunk.subarray(-tailBytes) : Buffer.concat([tail, chunk]).subarray(-tailBytes);
        this.parsed(chunk.length);
        if (!found) return;
        clearTimeout(late);
        this.listen((more) => this.parsed(more.length));
        resolve(performance.now());
      });
    });
  }

  stall(): void {
    this.#sure().stall?.();
  }

  drop(): void {
    void this.#end.then(
      (end) => end.drop(),
      () => {},
    );
  }

  async close(): Promise<void> {
    this.#sure().close();
    await within(this.ended, 'end of a closed terminal');
  }

  /** From the other side. */
  feed(chunk: Buffer): void {
    this.#onFirst(performance.now() - this.#startedAtMs);
    this.#unparsedBytes += chunk.length;
    this.#listener(chunk);
    if (!this.#isHeld && this.#unparsedBytes > highBytes) this.#hold(true);
  }

  hasEnded(): void {
    this.#onEnd();
  }

  #hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#now?.hold?.(isHeld);
  }

  #sure(): WireEnd {
    if (this.#now === null) throw new Error('the terminal is not ready yet');
    return this.#now;
  }
}

const tailBytes = 128;

/** What the prompt is set to; typed in two pieces, so that the echo of the command is none. */
export const prompt = 'READY> ';

/** A shell whose prompt is `prompt`, and which waits at it. */
export async function settle(wire: Wire): Promise<void> {
  await within(wire.ready, 'shell');
  const seen = wire.sees(prompt);
  wire.send("PS1=READ''Y'> '\r");
  await seen;
}

/** Ends the shell from inside, which every way of reaching it understands. */
export async function leave(wire: Wire): Promise<void> {
  wire.send('exit\r');
  await within(wire.ended, 'end of a shell after `exit`');
}

/** A shell that should answer and does not is a failure of the part, not a benchmark that hangs. */
export async function within<T>(what: Promise<T>, name: string, ms = usualWithinMs): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`no ${name} within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([what, tooLate]);
  } finally {
    clearTimeout(late);
  }
}

const usualWithinMs = 30_000;
