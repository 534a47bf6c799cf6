import type { TerminalSize } from '#shared/terminal-protocol.ts';
import { loginScript } from './scripts.ts';

/**
 * A shell that outlives its connection runs under a tmux server of its own, `tmux -L spoonbox-<session>`. Nothing of it shall
 * be seen or felt: no status bar, no key of its own, no alternate screen around it, and none of its words.
 *
 * What is not promised: tmux draws what it has understood. Under a flood of output it leaves out lines that were scrolled
 * away before it drew them, in the native scroll-back too (`resume` has them); sequences that it does not know are dropped.
 */

/** The tmux session in that server; there is one. */
const name = 'main';
/** tmux cuts a tenth when it is full, and then 2,000 are left. */
const historyLines = 2_500;
const replayLines = 2_000;
/** What the stream of a terminal ends with whose shell goes on elsewhere: as one that was hung up. */
const takenOver = 129;

/** Options that a tmux before 3.3 does not know make it refuse all of it: then the shell runs without. */
const serverOptions: readonly (readonly string[])[] = [
  ['set', '-s', 'escape-time', '0'],
  ['set', '-s', 'default-terminal', 'tmux-256color'],
  // OSC 52 of a program goes through.
  ['set', '-s', 'set-clipboard', 'on'],
  ['set', '-s', 'focus-events', 'on'],
  // Native scroll-back needs the main screen, real line feeds, and that nothing is cleared when tmux ends.
  ['set', '-sa', 'terminal-overrides', ',*:smcup@:rmcup@:indn@:clear=\\E[m'],
  [
    'set',
    '-sa',
    'terminal-features',
    ',*:256:RGB:clipboard:title:ccolour:cstyle:focus:bpaste:usstyle:strikethrough:overline',
  ],
  // Links; known since 3.4, and 3.3 minds no feature that it does not know.
  ['set', '-sa', 'terminal-features', ',*:hyperlinks'],
  ['set', '-g', 'status', 'off'],
  ['set', '-g', 'prefix', 'None'],
  ['set', '-g', 'prefix2', 'None'],
  // A program's own mouse modes go through.
  ['set', '-g', 'mouse', 'off'],
  ['set', '-g', 'history-limit', String(historyLines)],
  ['set', '-g', 'set-titles', 'on'],
  ['set', '-g', 'set-titles-string', '#T'],
  ['set', '-g', 'update-environment', ''],
  ['set', '-gw', 'window-size', 'latest'],
  ['set', '-gw', 'automatic-rename', 'off'],
  ['set', '-gw', 'allow-passthrough', 'on'],
  // The shell's exit code is known only of a dead pane that is still there.
  ['set', '-gw', 'remain-on-exit', 'on'],
  ['set', '-gw', 'remain-on-exit-format', ''],
  ...['root', 'prefix', 'copy-mode', 'copy-mode-vi'].map((table) => ['unbind', '-aq', '-T', table]),
  ['set-hook', '-g', 'pane-died', `run-shell -C "${leaveWithExitCode()}" ; kill-server`],
];

/** The client becomes a command that puts the cursor below the last output, and ends as the shell did. */
function leaveWithExitCode(): string {
  const exitCode = '#{?pane_dead_signal,#{e|+:128,#{pane_dead_signal}},#{pane_dead_status}}';
  return `detach-client -s ${name} -E 'printf \\"\\\\033[#{cursor_y};1H\\\\n\\" >&0; exit ${exitCode}'`;
}

/**
 * Echo is off until the shell's own terminal does it for what is typed ahead. $1 rows, $2 columns, $3 directory, $4 name of
 * the server, $5 what starts the shell, then the options, each ended by `;`.
 */
const openScript = `r=$1 c=$2 d=$3 n=$4 login=$5; shift 5
stty rows "$r" cols "$c" -echo 2>/dev/null
t="tmux -u -L $n -f /dev/null"
command -v tmux >/dev/null 2>&1 && $t "$@" new-session -d -s ${name} -x "$c" -y "$r" /bin/sh -c "$login" spoonbox 0 0 "$d" >/dev/null 2>&1 &&
exec $t attach -t ${name} >/dev/null 2>&1
stty echo 2>/dev/null; exec /bin/sh -c "$login" spoonbox 0 0 "$d"`;

/** So that the user's own tmux starts in it, and nothing takes the terminal for another. */
const insideScript = `unset TMUX TMUX_PANE TERM_PROGRAM TERM_PROGRAM_VERSION\n${loginScript}`;

/** A login shell under a tmux server of its own, or without where the image has none. */
export function persistentLoginCommand(
  session: string,
  { rows, cols }: TerminalSize,
  directory: string | null,
): string[] {
  const options = serverOptions.flatMap((command) => [...command, ';']);
  const given = [String(rows), String(cols), directory ?? '', serverOf(session), insideScript];
  return ['/bin/sh', '-c', openScript, 'spoonbox', ...given, ...options];
}

/**
 * $1 rows, $2 columns, $3 name of the server. The history is wrapped for the new size first, printed, and pushed out of the
 * screen, which tmux then draws.
 */
const resumeScript = `stty rows "$1" cols "$2" -echo 2>/dev/null
t="tmux -u -L $3 -f /dev/null"
$t detach-client -s ${name} -E 'exit ${takenOver}' \\; resize-window -t ${name} -x "$2" -y "$1" \\; \\
if -F '#{history_size}' 'capture-pane -peJ -t ${name} -S -${replayLines} -E -1' 2>/dev/null
printf '\\033[m'; i=1; while [ $i -lt "$1" ]; do echo; i=$((i+1)); done
exec $t attach -d -t ${name} \\; set -w window-size latest >/dev/null 2>&1`;

/** Goes on with a shell that was started so. */
export function resumeCommand(session: string, { rows, cols }: TerminalSize): string[] {
  return ['/bin/sh', '-c', resumeScript, 'spoonbox', String(rows), String(cols), serverOf(session)];
}

/** Exit code 0: the session has such a server. */
export function hasServerCommand(session: string): string[] {
  return ['/bin/sh', '-c', `tmux -L "$1" has-session -t ${name}`, 'spoonbox', serverOf(session)];
}

/** $1 name of the server, $2 tenths of a second. */
const endServerScript = `p=$(tmux -L "$1" list-panes -a -F '#{pane_pid}') || exit 2
tmux -L "$1" kill-server; i=0
while [ $i -lt "$2" ]; do kill -0 $p 2>/dev/null || exit 0; sleep 0.1; i=$((i+1)); done; exit 1`;

/** Hangs up the shell by ending its server. Exit code 0: the shell is gone; 1: it outlived that; else there was no server. */
export function endServerCommand(session: string, withinMs: number): string[] {
  return ['/bin/sh', '-c', endServerScript, 'spoonbox', serverOf(session), String(Math.ceil(withinMs / 100))];
}

/** By this name the sweep knows it, too: see `session-marks.ts`. */
function serverOf(session: string): string {
  return `spoonbox-${session}`;
}
