import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { History } from './history.ts';
import { readLines } from './read-lines.ts';

const retryMs = 200;

/**
 * Reads along what Redis does, command by command, in its order: every status that is written must be written by whoever
 * leads at that moment. What Redis ran while nobody read along is not looked at.
 */
export class LeaderWatch {
  readonly #history: History;
  readonly #port: number;
  /** token of the leader; null = not known since the watch began */
  #leader: string | null = null;
  /** token of the commit that runs now; '' = another script or none */
  #committing = '';

  constructor(history: History, port: number) {
    this.#history = history;
    this.#port = port;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const socket = connect(this.#port, '127.0.0.1');
      // Redis is down, or goes: it is tried again.
      socket.on('error', () => {});
      const connected = await once(socket, 'connect').catch(() => null);
      if (connected !== null) {
        this.#leader = null;
        socket.write('MONITOR\r\n');
        await readLines(socket, (line) => this.#read(line), signal);
      }
      socket.destroy();
      await wait(retryMs, null, { signal }).catch(() => {});
    }
  }

  #read(line: string): void {
    const words = line.match(/"(?:[^"\\]|\\.)*"/g)?.map((word) => word.slice(1, -1)) ?? [];
    const [command = '', key = ''] = words;
    if (!line.includes(' lua] ')) {
      this.#committing = isCommit(words) ? tokenOf(words) : '';
      return;
    }
    const verb = command.toLowerCase();
    if (key.endsWith(':leader')) {
      if (verb === 'set') this.#leader = words[2] ?? null;
      if (verb === 'del') this.#leader = '';
    }
    if (!key.endsWith(':status') || (verb !== 'hset' && verb !== 'del')) return;
    if (this.#leader === null || (verb === 'del' && this.#committing === '')) return;
    if (this.#committing === this.#leader) this.#history.checked('only who leads commits');
    else
      this.#history.violated(
        `6: a status was written by ${this.#committing || 'no commit'} while ${this.#leader || 'nobody'} led`,
      );
  }
}

function isCommit(words: readonly string[]): boolean {
  return /^eval(sha)?$/i.test(words[0] ?? '') && words.some((word) => word.includes('\\"phase\\"'));
}

/** `evalsha sha n key… argument…`: the token is the fourth argument. */
function tokenOf(words: readonly string[]): string {
  return words[2 + Number(words[2]) + 4] ?? '';
}
