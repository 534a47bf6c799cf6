import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { History } from './history.ts';
import type { TerminalHistory } from './terminal-history.ts';
import { lineOf } from './typist.ts';

/** Holds what is in the homes against every line that was echoed to somebody: each is there, once, and in its order. */
export async function checkHomes(
  homes: string,
  users: readonly string[],
  terminals: TerminalHistory,
  history: History,
): Promise<void> {
  for (const user of users) {
    const text = await readFile(join(homes, user, 'marks'), 'utf8').catch(() => '');
    const written = new Map<string, string[]>();
    for (const line of text.split('\n')) {
      const [session = '', shell = ''] = line.split(':');
      const key = `${session}/${shell}`;
      const lines = written.get(key) ?? [];
      written.set(key, lines);
      lines.push(line);
    }
    for (const { session, shell, line: last, user: of } of terminals.echoed.values()) {
      if (of !== user) continue;
      const lines = written.get(`${session}/${shell}`) ?? [];
      const wrong = Array.from({ length: last }, (_, index) => index + 1).find(
        (line) => lines[line - 1] !== lineOf(session, shell, line),
      );
      if (wrong === undefined) history.checked('the home keeps what was written (lines)', last);
      else
        history.violated(
          `3: line ${wrong} of ${last} of session ${session} is not in the home of ${user} as it was written`,
        );
    }
  }
}
