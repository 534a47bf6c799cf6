import { Writable } from 'node:stream';
import { TooMuchOutput } from './errors.ts';

/** What is collected of one output where nothing else is said. */
export const maxOutputBytes = 16 * 1024 * 1024;

/** Collects what is written to it; more than `mostBytes` is an error of the stream. */
export class CollectedOutput extends Writable {
  readonly #mostBytes: number;
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(mostBytes: number) {
    super();
    this.#mostBytes = mostBytes;
  }

  override _write(piece: Buffer, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    this.#bytes += piece.length;
    if (this.#bytes > this.#mostBytes) {
      done(
        new TooMuchOutput(
          `the command wrote more than ${this.#mostBytes} bytes: give \`maxOutputBytes\`, or a stream of your own`,
        ),
      );
      return;
    }
    this.#pieces.push(piece);
    done();
  }

  /** All of it as UTF-8. */
  text(): string {
    return Buffer.concat(this.#pieces).toString('utf8');
  }
}
