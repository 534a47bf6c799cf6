import type { Clock } from '#shared/clock.ts';

const tellEveryMs = 250;
const maxLineChars = 300;
/** of git's words that are told when it fails */
const maxLastWords = 4;
/** How git draws a counter: it goes over the same line again and again. */
const counted = /^(remote: )?[A-Z][A-Za-z ]+: +\d/;
/** Where it clones to, which is not where the checkout will be. */
const hidden = /^Cloning into /;

/**
 * What git says while it clones, as lines for people: a few a second, whatever comes, and nothing in them that a terminal obeys,
 * because a part of it is the server's.
 */
export class CloneProgress {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #tell: (line: string) => void;
  readonly #decoder = new TextDecoder();
  readonly #last: string[] = [];
  #rest = '';
  #toldAtMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Pick<Clock, 'monotonicMs'>, tell: (line: string) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  take(bytes: Buffer): void {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split(/[\r\n]+/);
    this.#rest = (lines.pop() ?? '').slice(0, maxLineChars);
    for (const line of lines) this.#line(line);
  }

  /** The last lines that were no counters. */
  lastWords(): string {
    this.#line(this.#rest);
    this.#rest = '';
    return this.#last.join('; ');
  }

  #line(raw: string): void {
    const line = raw
      .replaceAll(/[\p{C}\s]+/gu, ' ')
      .trim()
      .slice(0, maxLineChars);
    if (line === '' || hidden.test(line)) return;
    if (!counted.test(line)) {
      this.#last.push(line);
      if (this.#last.length > maxLastWords) this.#last.shift();
    }
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#toldAtMs < tellEveryMs) return;
    this.#toldAtMs = nowMs;
    this.#tell(line);
  }
}
