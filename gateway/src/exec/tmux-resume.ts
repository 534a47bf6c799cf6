import type { TerminalSize } from '#shared/terminal-protocol.ts';
import { exitFileOf, exitScript, historyLines, name, serverOf, takenOver, title } from './tmux.ts';

/**
 * How a connection goes on with a shell that runs under tmux: first what has scrolled away, then the screen, and nothing
 * missing or twice between them, whatever is printed meanwhile.
 *
 * tmux draws the screen some moments after it was told to, so what is asked of it before or after that has scrolled on. But just
 * before it draws it sets the title, and a title can tell how long the history is. That is the cut. The history up to there
 * does not change any more, and is asked for once the cut is known.
 *
 * tmux draws twice: when it has the terminal, and when its client has told the size. What scrolls before the second time is not
 * always shown, so that one is the cut, and what came between the two is left out.
 *
 * Nothing may be printed on the terminal before tmux has it: what the engine has not read by then, tmux throws away
 * (`tcflush`). So the history comes by a connection of its own.
 */

const replayLines = 2_000;
const cutMark = 'spoonbox-cut:';
/**
 * While the connection has this key table (one exists that binds a key), its title is the cut. No option says so, because
 * whatever option is set, tmux draws all terminals again, and lines that come while that waits for its turn are never scrolled.
 * The bytes that were written make each one another title: the same one would not be set again.
 */
const cutTable = 'spoonbox-cut';
const titleBegin = Buffer.from('\u001b]0;');
const titleWithMark = new RegExp(`${titleBegin.toString('latin1')}${cutMark}(\\d+):\\d+:`, 'g');
const cutTitle = `#{?#{==:#{client_key_table},${cutTable}},${cutMark}#{history_size}:#{client_written}:,}${title}`;

/** $1 rows, $2 columns, $3 name of the server, $4 title, $5 key table. All is wrapped for the new size first. */
const resumeScript = `stty rows "$1" cols "$2" -echo 2>/dev/null; n=$3; f=${exitFileOf('$n')}
tmux -u -L "$n" -f /dev/null resize-window -t ${name} -x "$2" -y "$1" \\; \\
set -w -t ${name} window-size latest \\; set -t ${name} set-titles-string "$4" \\; bind -T "$5" Any send-keys \\; \\
attach -d -t ${name} \\; switch-client -T "$5" >/dev/null 2>&1
${exitScript}
exit ${takenOver}`;

/**
 * Lets go of the connection that a shell may still have. Exit code 0: the session has such a server. Not with the rest, because a
 * terminal that is opened while another one closes may never show a byte: see ContainerTurns.
 */
export function freeCommand(session: string): string[] {
  // Where there is no connection, letting go of it is an error.
  const script = `tmux -L "$1" has-session -t ${name} && { tmux -L "$1" detach-client -s ${name}; true; }`;
  return ['/bin/sh', '-c', script, 'spoonbox', serverOf(session)];
}

/** Goes on with a shell that was started by `persistentLoginCommand`. */
export function resumeCommand(session: string, { rows, cols }: TerminalSize): string[] {
  const given = [String(rows), String(cols), serverOf(session), cutTitle, cutTable];
  return ['/bin/sh', '-c', resumeScript, 'spoonbox', ...given];
}

/** How often tmux draws all before it shows what comes. */
export const draws = 2;

/** What a resumed terminal has sent, without its marks and without what was drawn before the last one. */
export interface Cut {
  readonly draws: number;
  readonly historySize: number;
  readonly rest: Buffer;
}

/** null: it has not come yet. */
export function cutIn(output: Buffer): Cut | null {
  const marks = [...output.toString('latin1').matchAll(titleWithMark)];
  const [first, last] = [marks[0], marks.at(-1)];
  if (first === undefined || last === undefined) return null;
  const rest = [output.subarray(0, first.index), titleBegin, output.subarray(last.index + last[0].length)];
  return { draws: marks.length, historySize: Number(last[1]), rest: Buffer.concat(rest) };
}

/**
 * Prints how long the history was when this was worked out and when it was done, then the last 2,000 lines that had scrolled
 * away at the cut; and lets the title be what it was. `capture-pane` counts from the screen upwards, in plain numbers, and since the
 * cut some more may have gone there; so where the two lengths differ, the lines are wrong.
 */
export function historyCommand(session: string, cut: number): string[] {
  const trimmed = `#{?#{e|<:#{history_size},${cut}},${historyLines / 10},0}`;
  const since = `#{e|-:#{e|+:#{history_size},${trimmed}},${cut}}`;
  const capture = `capture-pane -peJ -t ${name} -S #{e|-:-${replayLines},${since}} -E #{e|-:-1,${since}}`;
  const isAny = `#{e|>:#{history_size},${since}}`;
  const print = `display-message -p -t ${name} '#{history_size} ##{history_size}' #{?${isAny},; ${capture},}`;
  const then = ['switch-client', '-T', 'root', ';', 'run-shell', '-t', name, '-C', print];
  return ['tmux', '-u', '-L', serverOf(session), ...then];
}

/** What `historyCommand` printed. `isExact`: these are the lines up to the cut. */
export function historyIn(printed: Buffer): { isExact: boolean; lines: Buffer } {
  const end = printed.indexOf('\n');
  const [planned, done] = printed.toString('latin1', 0, Math.max(0, end)).split(' ');
  return { isExact: planned !== undefined && planned === done, lines: printed.subarray(end + 1) };
}

/**
 * The lines as bytes that leave a cleared terminal with all of them scrolled away. Line drawing characters come in the second
 * character set.
 */
export function scrolledAway(history: Buffer, { rows }: TerminalSize): Buffer {
  if (history.length === 0) return history;
  const lines = history.toString('utf8').replace(/\n$/, '').replaceAll('\n', '\r\n');
  return Buffer.from(`\u001b)0${lines}\u001b[m\u000f\u001b)B${'\r\n'.repeat(rows)}`);
}
