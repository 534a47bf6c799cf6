import { isUtf8 } from 'node:buffer';
import type { TerminalSize } from '#shared/terminal-protocol.ts';

/**
 * asciicast v2 (https://docs.asciinema.org/manual/asciicast/v2/), as byte strings: each character stands for one byte of the
 * file, so that UTF-8 passes through JSON.stringify as it is and is never decoded, which costs most of the time elsewhere. To be
 * written as latin1.
 */

/** output, input, resize, marker */
export type CastCode = 'o' | 'i' | 'r' | 'm';

export interface CastEvent {
  /** ms since the beginning of the recording */
  readonly atMs: number;
  readonly code: CastCode;
  readonly bytes: Buffer;
}

export interface CastHead {
  readonly size: TerminalSize;
  readonly timestampMs: number;
  readonly title: string;
  readonly command: string | undefined;
}

export function headLine({ size, timestampMs, title, command }: CastHead): string {
  const head = {
    version: 2,
    width: size.cols,
    height: size.rows,
    timestamp: Math.floor(timestampMs / 1_000),
    title,
    ...(command === undefined ? {} : { command }),
    env: { TERM: 'xterm-256color' },
  };
  return byteString(Buffer.from(`${JSON.stringify(head)}\n`));
}

/**
 * Makes lines of bytes that were cut anywhere: a character that is not whole yet comes with the next event of its kind.
 * What is no UTF-8 becomes U+FFFD, as JSON cannot hold it.
 */
export class CastLines {
  readonly #beginnings = { o: nothing, i: nothing };

  /** '' where there is no whole character yet. */
  line({ atMs, code, bytes }: CastEvent): string {
    const whole = code === 'o' || code === 'i' ? this.#wholeCharacters(code, bytes) : bytes;
    return whole.length === 0 ? '' : eventLine(atMs, code, whole);
  }

  /** The beginnings of characters whose ends did not come; to be called before what was lost, and at the end. */
  cutOff(atMs: number): string {
    const { o, i } = this.#beginnings;
    this.#beginnings.o = nothing;
    this.#beginnings.i = nothing;
    return (o.length > 0 ? eventLine(atMs, 'o', o) : '') + (i.length > 0 ? eventLine(atMs, 'i', i) : '');
  }

  #wholeCharacters(code: 'o' | 'i', bytes: Buffer): Buffer {
    const before = this.#beginnings[code];
    const all = before.length === 0 ? bytes : Buffer.concat([before, bytes]);
    const end = all.length - cutCharacterLength(all);
    this.#beginnings[code] = end === all.length ? nothing : Buffer.from(all.subarray(end));
    return all.subarray(0, end);
  }
}

export function eventLine(atMs: number, code: CastCode, bytes: Buffer): string {
  const text = isUtf8(bytes) ? bytes : Buffer.from(bytes.toString());
  return `[${(Math.max(0, atMs) / 1_000).toFixed(6)},"${code}",${JSON.stringify(byteString(text))}]\n`;
}

const nothing: Buffer = Buffer.alloc(0);

/** How many bytes at the end are the beginning of a character of UTF-8: 0 to 3. */
function cutCharacterLength(bytes: Buffer): number {
  for (let length = 1; length <= Math.min(3, bytes.length); length += 1) {
    const byte = bytes[bytes.length - length] ?? 0;
    const continues = byte >= 0x80 && byte < 0xc0;
    if (continues) continue;
    const wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return wanted > length ? length : 0;
  }
  return 0;
}

function byteString(bytes: Buffer): string {
  return bytes.toString('latin1');
}
