import type { UserName } from '#shared/identity.ts';
import type { ServerMessage, TerminalSize } from '#shared/terminal-protocol.ts';
import type { Recorder } from './recording/recorder.ts';
import type { Recordings } from './recording/recordings.ts';
import { recordedOf, type TerminalSettings } from './terminal-settings.ts';

type Recorded = TerminalSettings['record'];

interface RecordingOf {
  readonly user: UserName;
  readonly session: string;
  readonly size: () => TerminalSize;
}

/**
 * What of a session is recorded: all that its class, the leases that were live when it was opened, an
 * earlier gateway, and the tokens that opened or joined it ask for together.
 * Where more is asked for while it runs, a new file begins there: one that was begun without input never gets any.
 */
export class SessionRecording {
  readonly #recordings: Pick<Recordings, 'open'> | null;
  readonly #of: RecordingOf;
  #asked: Recorded = 'off';
  #hasBegun = false;
  #recorder: Recorder | null = null;
  #closed: Promise<unknown> = Promise.resolve();

  /** `recordings` null: nothing is recorded here. */
  constructor(recordings: Pick<Recordings, 'open'> | null, of: RecordingOf) {
    this.#recordings = recordings;
    this.#of = of;
  }

  get asked(): Recorded {
    return this.#asked;
  }

  /** True: that is more than what was asked for before. */
  ask(more: Recorded | null): boolean {
    const all = recordedOf(this.#asked, more);
    if (all === this.#asked) return false;
    this.#asked = all;
    if (this.#hasBegun) this.#open();
    return true;
  }

  begin(): void {
    this.#hasBegun = true;
    if (this.#asked !== 'off') this.#open();
  }

  /** Whoever is recorded is told. */
  notice(): ServerMessage | null {
    if (this.#recorder === null) return null;
    const what = this.#asked === 'input' ? 'its output, and what is typed' : 'its output';
    return { type: 'notice', code: 'recorded', message: `this terminal is recorded: ${what}` };
  }

  output(bytes: Buffer): void {
    this.#recorder?.output(bytes);
  }

  input(bytes: Buffer): void {
    this.#recorder?.input(bytes);
  }

  resize(size: TerminalSize): void {
    this.#recorder?.resize(size);
  }

  /** Never rejects. */
  async close(): Promise<void> {
    await Promise.all([this.#closed, this.#recorder?.close()]);
  }

  #open(): void {
    if (this.#recordings === null) return;
    const { user, session, size } = this.#of;
    this.#closed = Promise.all([this.#closed, this.#recorder?.close()]);
    this.#recorder = this.#recordings.open({ user, session, size: size(), input: this.#asked === 'input' });
  }
}
