import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import type { Clock } from '#shared/clock.ts';
import { codeOf } from '#shared/faults.ts';
import type { Logger } from '#shared/log.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import { type CastCode, type CastEvent, CastLines, eventLine } from './cast-lines.ts';
import type { RecordingLimits } from './limits.ts';
import type { Dirty, RecordingWriter } from './writer.ts';

/** What a session tells of itself. Nothing here waits, throws, or keeps the bytes that it is given. */
export interface Recorder {
  output(bytes: Buffer): void;
  /** dropped unless the recording was opened with `input` */
  input(bytes: Buffer): void;
  resize(size: TerminalSize): void;
  /** Resolves when all is in the file, or the disk has hung for too long. Never rejects. */
  close(): Promise<void>;
}

export interface RecorderOptions {
  /** Makes sure of the directory, and names a file of a recording that begins now. */
  readonly place: () => Promise<string>;
  /** of a file that begins now, with this size */
  readonly head: (size: TerminalSize) => string;
  readonly size: TerminalSize;
  readonly input: boolean;
  readonly limits: RecordingLimits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly writer: RecordingWriter;
  /** what all recordings of this process have waiting */
  readonly total: { queuedBytes: number };
}

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
/** A marker that says where the recording goes on must still fit. */
const lastWordsBytes = 256;
/** What an event takes in the queue beside its bytes. */
const eventBytes = 64;

/**
 * One recording. Events are queued here, and made into lines and written by the one writer, a part at a time.
 *
 * INVARIANTS
 * - The queue is bounded, by itself and by all recordings together. What does not fit is left out, and a marker at that place
 *   says how much.
 * - What is in a file can be played: a write that failed half way is cut off again. A full file is followed by another, whose times
 *   begin anew, and whose size is that of the screen by then.
 * - Only an open recording takes anything. One that is not open any more closes its file as soon as its queue is empty.
 */
export class FileRecorder implements Recorder, Dirty {
  readonly #options: RecorderOptions;
  readonly #startedAt: number;
  /** of the file, since `#startedAt` */
  #fileStartedMs = 0;
  readonly #lines = new CastLines();
  readonly #shut = Promise.withResolvers<void>();
  #state: 'open' | 'closing' | 'stopped' | 'shut' = 'open';
  #queue: CastEvent[] = [];
  #queuedBytes = 0;
  #missingBytes = 0;
  #missingWhy = '';
  #sizeMeanwhile: TerminalSize | null = null;
  #file: FileHandle | null = null;
  #path = '';
  #fileBytes = 0;
  /** as the file has it */
  #size: TerminalSize;
  /** it has a head and nothing else */
  #isEmpty = true;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#startedAt = options.clock.monotonicMs();
    this.#size = options.size;
    options.writer.soon(this); // the file is there, and its errors are told, before there is output
  }

  output(bytes: Buffer): void {
    this.#data('o', bytes);
  }

  input(bytes: Buffer): void {
    if (this.#options.input) this.#data('i', bytes);
  }

  resize(size: TerminalSize): void {
    if (this.#state !== 'open') return;
    if (this.#fits(0)) this.#push('r', sizeBytes(size));
    else this.#sizeMeanwhile = size;
  }

  async close(): Promise<void> {
    const { clock, limits, log, writer } = this.#options;
    if (this.#state === 'open') {
      this.#tellMissing();
      this.#state = 'closing';
      writer.soon(this);
    }
    let cancel = (): void => {};
    const late = new Promise<'late'>((resolve) => {
      cancel = clock.after(limits.closeWithinMs, () => resolve('late'));
    });
    const outcome = await Promise.race([this.#shut.promise, late]);
    cancel();
    if (outcome === 'late') log.error({ path: this.#path }, 'a recording is not finished in time: the disk hangs');
  }

  /** '' before there is a file. */
  get path(): string {
    return this.#state === 'shut' ? '' : this.#path;
  }

  async writePart(): Promise<boolean> {
    if (this.#state === 'shut') return false;
    const { events, bytes } = this.#takePart();
    try {
      if (this.#state !== 'stopped') await this.#write(this.#file ?? (await this.#open()), events);
    } catch (error) {
      await this.#fail(error);
    }
    this.#freed(bytes);
    if (this.#queue.length > 0) return true;
    if (this.#state !== 'open') await this.#finish();
    return false;
  }

  #data(code: 'o' | 'i', bytes: Buffer): void {
    if (this.#state !== 'open' || bytes.length === 0) return;
    // Of a frame that is larger than the queue, as much as fits.
    const { batchBytes } = this.#options.limits;
    for (let at = 0; at < bytes.length; at += batchBytes) {
      const piece = bytes.subarray(at, at + batchBytes);
      if (this.#fits(piece.length)) {
        this.#tellMissing();
        this.#push(code, Buffer.from(piece));
      } else {
        if (this.#missingBytes === 0) this.#missingWhy = this.#fullOf(piece.length);
        this.#missingBytes += piece.length;
      }
    }
  }

  #fits(bytes: number): boolean {
    return this.#fullOf(bytes) === '';
  }

  /** Why so much more does not fit; '' = it does. */
  #fullOf(bytes: number): string {
    const { limits, total } = this.#options;
    const more = bytes + eventBytes;
    if (this.#queuedBytes + more > limits.queueBytes) return 'more came at once than may wait for the disk';
    return total.queuedBytes + more > limits.totalQueueBytes ? 'too much of all recordings waited for the disk' : '';
  }

  /** Small, so it goes in although the queue is full: at most once for each piece of data that went in. */
  #tellMissing(): void {
    if (this.#missingBytes > 0) {
      this.#push('m', Buffer.from(`${this.#missingBytes} bytes are missing here: ${this.#missingWhy}`));
    }
    if (this.#sizeMeanwhile) this.#push('r', sizeBytes(this.#sizeMeanwhile));
    this.#missingBytes = 0;
    this.#sizeMeanwhile = null;
  }

  #push(code: CastCode, bytes: Buffer): void {
    const { clock, limits, total, writer } = this.#options;
    this.#queue.push({ atMs: clock.monotonicMs() - this.#startedAt, code, bytes });
    this.#queuedBytes += bytes.length + eventBytes;
    total.queuedBytes += bytes.length + eventBytes;
    if (this.#queuedBytes >= limits.batchBytes) writer.soon(this);
    else writer.later(this);
  }

  #takePart(): { events: CastEvent[]; bytes: number } {
    let bytes = 0;
    let count = 0;
    for (const event of this.#queue) {
      if (bytes >= this.#options.limits.batchBytes) break;
      bytes += event.bytes.length + eventBytes;
      count += 1;
    }
    return { events: this.#queue.splice(0, count), bytes };
  }

  #freed(bytes: number): void {
    this.#queuedBytes -= bytes;
    this.#options.total.queuedBytes -= bytes;
  }

  async #open(): Promise<FileHandle> {
    this.#path = await this.#options.place();
    this.#file = await open(this.#path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    this.#fileBytes = 0;
    this.#isEmpty = true;
    await this.#append(this.#file, this.#options.head(this.#size));
    return this.#file;
  }

  async #write(first: FileHandle, events: readonly CastEvent[]): Promise<void> {
    const { limits } = this.#options;
    let file = first;
    let text = '';
    for (const event of events) {
      let line = this.#lineOf(event);
      const isFull = this.#fileBytes + text.length + line.length > limits.fileBytes - lastWordsBytes;
      if (isFull && (!this.#isEmpty || text !== '')) {
        file = await this.#nextFile(file, text, event.atMs);
        text = '';
        line = line.replaceAll(/^\[[\d.]+/gm, '[0.000000'); // its file begins with it
      }
      if (event.code === 'r') this.#size = sizeOf(event.bytes);
      text += line;
    }
    await this.#append(file, text);
    if (text !== '') this.#isEmpty = false;
  }
  #lineOf(event: CastEvent): string {
    const atMs = event.atMs - this.#fileStartedMs;
    const cut = event.code === 'm' ? this.#lines.cutOff(atMs) : '';
    return cut + this.#lines.line({ ...event, atMs });
  }

  /** What is left of the last one is written, and where it goes on. */
  async #nextFile(last: FileHandle, text: string, atMs: number): Promise<FileHandle> {
    const { limits, log } = this.#options;
    const why = `the recording goes on in another file: this one has reached the limit of ${limits.fileBytes} bytes`;
    await this.#append(last, text + eventLine(atMs - this.#fileStartedMs, 'm', Buffer.from(why)));
    this.#file = null;
    await last.close();
    log.info(
      { path: this.#path, limitBytes: limits.fileBytes },
      'a file of a recording is full; it goes on in another one',
    );
    this.#fileStartedMs = atMs;
    return await this.#open();
  }

  async #append(file: FileHandle, text: string): Promise<void> {
    if (text === '') return;
    const bytes = Buffer.from(text, 'latin1'); // see cast-lines.ts
    await file.appendFile(bytes);
    this.#fileBytes += bytes.length;
  }

  async #fail(error: unknown): Promise<void> {
    const { log } = this.#options;
    this.#stop();
    const code = codeOf(error);
    const why =
      code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full: free some space' : 'its file cannot be written';
    log.error({ error, path: this.#path }, `recording stopped, the terminal goes on: ${why}`);
    try {
      await this.#file?.truncate(this.#fileBytes);
    } catch (cutError) {
      log.warn({ error: cutError, path: this.#path }, 'the last line of a recording may be damaged');
    }
  }

  #stop(): void {
    this.#state = 'stopped';
    this.#freed(this.#queue.reduce((sum, { bytes }) => sum + bytes.length + eventBytes, 0));
    this.#queue = [];
  }

  async #finish(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    try {
      if (file && this.#state === 'closing') {
        await this.#append(
          file,
          this.#lines.cutOff(this.#options.clock.monotonicMs() - this.#startedAt - this.#fileStartedMs),
        );
      }
      await file?.close();
    } catch (error) {
      this.#options.log.error({ error, path: this.#path }, 'the end of a recording may be missing');
    }
    this.#state = 'shut';
    this.#shut.resolve();
  }
}

function sizeOf(bytes: Buffer): TerminalSize {
  const [cols = 1, rows = 1] = bytes.toString().split('x').map(Number);
  return { cols, rows };
}

function sizeBytes({ cols, rows }: TerminalSize): Buffer {
  return Buffer.from(`${cols}x${rows}`);
}
