import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import type { TerminalSize } from '#shared/terminal-protocol.ts';
import { headLine } from './cast-lines.ts';
import type { RecordingLimits } from './limits.ts';
import { FileRecorder, type Recorder } from './recorder.ts';
import { fileNameOf, isOwnDirectory, tidyUser, userDirectories } from './tidy.ts';
import { RecordingWriter } from './writer.ts';

export interface OpenRecorder {
  readonly user: UserName;
  readonly session: string;
  readonly size: TerminalSize;
  readonly command?: string | undefined;
  /** also what is typed, passwords included */
  readonly input: boolean;
}

/**
 * The recordings of a gateway: `{dir}/{user}/{session}-{UTC time}.cast`, asciicast v2, for nobody but the gateway's own user to
 * read. Tidies at each opening and every `tidyEveryMs`, also for users who do not come any more. Several gateways may share the directory.
 */
export class Recordings {
  readonly #dir: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #limits: RecordingLimits;
  readonly #writer: RecordingWriter;
  readonly #open = new Set<FileRecorder>();
  readonly #total = { queuedBytes: 0 };
  #cancelTimer: (() => void) | null = null;
  #tidying: Promise<void> = Promise.resolve();
  #closed = false;

  constructor({ dir, clock, log, limits }: { dir: string; clock: Clock; log: Logger; limits: RecordingLimits }) {
    this.#dir = dir;
    this.#clock = clock;
    this.#log = log;
    this.#limits = limits;
    this.#writer = new RecordingWriter(clock, limits.flushEveryMs);
    this.#scheduleTidy();
  }

  /** Answers at once; the file is made behind it, and where it cannot be, the log says so and nothing is recorded. */
  open(session: OpenRecorder): Recorder {
    // Of the file that is written: the next one of a recording must have another name.
    let startedAt = 0;
    const begin = (): number => {
      startedAt = Math.max(Date.now(), startedAt + 1);
      return startedAt;
    };
    begin();
    let isFirst = true;
    const recorder = new FileRecorder({
      place: () => {
        if (!isFirst) begin();
        isFirst = false;
        return this.#place(session, startedAt);
      },
      head: (size) =>
        headLine({
          size,
          timestampMs: startedAt,
          title: `${session.user}/${session.session}`,
          command: session.command,
        }),
      size: session.size,
      input: session.input,
      limits: this.#limits,
      clock: this.#clock,
      log: this.#log.child({ user: session.user, session: session.session }),
      writer: this.#writer,
      total: this.#total,
    });
    this.#open.add(recorder);
    return {
      output: (bytes) => recorder.output(bytes),
      input: (bytes) => recorder.input(bytes),
      resize: (size) => recorder.resize(size),
      close: async () => {
        await recorder.close();
        this.#open.delete(recorder);
      },
    };
  }

  /** Finishes what is open, for at most `closeWithinMs` each, all at once. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelTimer?.();
    await Promise.all([...this.#open].map((recorder) => recorder.close()));
    this.#open.clear();
    await this.#tidying;
  }

  async #place({ user, session }: OpenRecorder, startedAt: number): Promise<string> {
    const dir = join(this.#dir, user);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    for (const path of [this.#dir, dir]) {
      if (await isOwnDirectory(path)) continue;
      throw new Error(`${path} is a link: recordings follow none; mount a disk there instead`);
    }
    await this.#tidy(dir);
    return join(dir, fileNameOf(session, startedAt));
  }

  #scheduleTidy(): void {
    this.#cancelTimer = this.#clock.after(this.#limits.tidyEveryMs, () => {
      this.#tidying = this.#tidyAll().catch((error: unknown) => {
        this.#log.error({ error, dir: this.#dir }, 'old recordings could not be removed; tried again later');
      });
      this.#scheduleTidy();
    });
  }

  async #tidyAll(): Promise<void> {
    for (const dir of await userDirectories(this.#dir)) {
      if (this.#closed) return;
      await this.#tidy(dir);
    }
  }

  async #tidy(dir: string): Promise<void> {
    const written = new Set([...this.#open].map(({ path }) => path));
    const removed = await tidyUser(dir, { limits: this.#limits, nowMs: Date.now(), written }, (path, error) => {
      this.#log.error({ error, path }, 'an old recording could not be removed');
    });
    if (removed.length > 0) this.#log.info({ dir, removed: removed.length }, 'old recordings removed');
  }
}
