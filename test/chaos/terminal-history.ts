import { closeNameOf, type CloseName } from '#shared/terminal-protocol.ts';
import type { History } from './history.ts';
import type { Telling } from './telling.ts';

type Of<Is extends Telling['is']> = Extract<Telling, { is: Is }>;

interface Terminal {
  readonly user: string;
  readonly gateway: string;
}

/** A fault explains what clients see for so long after its end. */
const aftermathMs = 60_000;
/** The last close codes that a gateway may give by itself, and what must have been broken for it. The others need a reason of their own. */
const excuses: Partial<Record<CloseName, (gateway: string) => readonly string[]>> = {
  internal: (gateway) => [gateway, `${gateway} to engine`, `${gateway} to redis`, 'engine', 'redis', 'boxes'],
  'try-later': (gateway) => [gateway, `${gateway} to redis`, `${gateway} to engine`, 'redis', 'engine'],
  restarting: (gateway) => [gateway],
  // A token lasts a minute: it waits where packets or processes do.
  'token-refused': (gateway) => [gateway, `clients to ${gateway}`, `${gateway} to redis`, 'redis', 'clients'],
  'hello-missing': (gateway) => [gateway, `clients to ${gateway}`, 'clients'],
};

/** What people saw in their terminals, and which lines they have reason to find in their homes. */
export class TerminalHistory {
  readonly terminals = new Map<string, Terminal>();
  /** session/shell → last line that was echoed */
  readonly echoed = new Map<string, { user: string; session: string; shell: number; line: number }>();
  readonly closes = new Map<string, number>();
  readonly #history: History;

  constructor(history: History) {
    this.#history = history;
  }

  opens({ session, user, gateway }: Of<'opens'>): void {
    this.terminals.set(session, { user, gateway });
  }

  echo({ session, shell, line, user }: Of<'echoed'>): void {
    const key = `${session}/${shell}`;
    const before = this.echoed.get(key)?.line ?? 0;
    this.#history.checked('what is typed comes back once and in order (lines)', line - before);
    this.echoed.set(key, { user, session, shell, line });
  }

  garbled({ session, user, expected, got }: Of<'garbled'>): void {
    this.#history.violated(
      `a terminal shows other bytes than were typed (${user}, ${session}): expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`,
    );
  }

  closed(telling: Of<'closed'>): void {
    const { gateway, code, by, said, openedAtMs, atMs, user } = telling;
    const name = by === 'refused' ? `HTTP ${code}` : (closeNameOf(code) ?? String(code));
    const label = by === 'us' ? 'by the person' : code === 1006 || code === 0 ? 'connection lost' : name;
    this.closes.set(label, (this.closes.get(label) ?? 0) + 1);
    if (by === 'us') return;
    const touched = this.#excuse(by, code, gateway);
    const what = `a terminal of ${user} at ${gateway} ended with ${label}${said === '' ? '' : ` (${said})`}`;
    if (!this.#history.wasBroken(touched, openedAtMs, atMs, aftermathMs)) {
      this.#history.violated(`${what}, and nothing was broken that explains it`, atMs);
    } else if (by === 'them' && code !== 1006 && said === '') {
      this.#history.violated(`${what} without a word why`, atMs);
    } else this.#history.checked('a terminal that ends says why, or its connection was broken');
  }

  #excuse(by: 'them' | 'refused', code: number, gateway: string): readonly string[] {
    const connection = [gateway, `clients to ${gateway}`, 'clients'];
    if (code === 0 || code === 1006) return connection;
    if (by === 'refused') return [...connection, 'redis', `${gateway} to redis`];
    const name = closeNameOf(code);
    return (name === null ? undefined : excuses[name])?.(gateway) ?? [];
  }
}
