import type { TerminalSize } from '#shared/terminal-protocol.ts';
import { loginScript } from './scripts.ts';

/**
 * A shell that outlives its connection runs under a tmux server of its own, `tmux -L spoonbox-<session>`. Nothing of it shall
 * be seen or felt: no status bar, no key of its own, no alternate screen around it, and none of its words.
 *
 * What is not promised: tmux draws what it has understood, and of a burst of output only what is on the screen after each
 * read of up to 4 KiB. So the native scroll-back has gaps where a program prints more than a screen at once (of 3,000 lines,
 * 200 to 1,300 were there); `resume` brings all of them that tmux has. No option changes that: `pipe-pane` has every byte, but
 * holds back no program, so that tmux would keep all that a slow client does not take. Sequences that it does not know are
 * dropped.
 */

/** The tmux session in that server; there is one. */
export const name = 'main';
/** What tmux keeps; it cuts a tenth when that is full, and then 2,000 are left. */
export const historyLines = 2_500;
/** What the stream of a terminal ends with whose shell goes on elsewhere: as one that was hung up. */
export const takenOver = 129;
/** How long tmux may take to read the last output. */
const answerWithinTenths = 20;

/** What the title of the user's terminal is: the one that programs set. */
export const title = '#T';

/** Options that a tmux before 3.2 does not know make it refuse all of it: then the shell runs without. */
const serverOptions: readonly (readonly string[])[] = [
  ['set', '-s', 'escape-time', '0'],
  ['set', '-s', 'default-terminal', 'tmux-256color'],
  // OSC 52 of a program goes through.
  ['set', '-s', 'set-clipboard', 'on'],
  ['set', '-s', 'focus-events', 'on'],
  // Native scroll-back needs the main screen, real line feeds, and that nothing is cleared when tmux ends. Without XT, and with no
  // CSI for `clear`, the terminal is asked nothing: its answer makes tmux draw all again, and lines that come meanwhile scroll unseen.
  ['set', '-sa', 'terminal-overrides', ',*:smcup@:rmcup@:indn@:XT@:clear=\\E(B'],
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
  ['set', '-g', 'set-titles-string', title],
  ['set', '-g', 'update-environment', ''],
  ['set', '-gw', 'window-size', 'latest'],
  ['set', '-gw', 'automatic-rename', 'off'],
  ['set', '-gwq', 'allow-passthrough', 'on'],
  ...['root', 'prefix', 'copy-mode', 'copy-mode-vi'].map((table) => ['unbind', '-aq', '-T', table]),
];

/**
 * What runs in tmux: $1 a file, $2 what starts the shell, $3 directory. The file is there once it runs, and gets the exit code
 * (a `pane-died` hook would know it too, but tmux before 3.5 loses one now and then, and the shell's end with it). What is
 * typed ahead may interrupt, and this is no program to interrupt. The user's own tmux shall start in it.
 *
 * tmux lets go of its client without drawing the last output first. So once it has answered, and has read all of that
 * output, the last screen is kept for the client's end.
 */
const insideScript = `: >"$1"; trap : INT QUIT TSTP
env -u TMUX -u TMUX_PANE -u TERM_PROGRAM -u TERM_PROGRAM_VERSION /bin/sh -c "$2" spoonbox 0 0 "$3"; x=$?
stty raw -echo min 0 time 0 && cat >/dev/null; stty time ${answerWithinTenths}; printf '\\033[5n'; dd bs=64 count=1 >/dev/null 2>&1
tmux display-message -p '#{cursor_y}' \\; capture-pane -pe >"$1.screen"; echo $x >"$1"`;

/** After tmux has let go: the exit code of the shell; where it goes on elsewhere or was hung up, that of a hang-up. */
export const exitScript = `if [ -s "$f" ]; then
{ read -r y; printf '\\033[H\\033[J%s\\033[m\\033[%s;1H' "$(cat)" $((y+1)); } <"$f.screen"
x=$(cat "$f"); rm -f "$f" "$f.screen"; exit "$x"; fi
if [ -e "$f" ]; then tmux -L "$n" has-session 2>/dev/null || rm -f "$f"; exit ${takenOver}; fi`;

/**
 * $1 rows, $2 columns, $3 directory, $4 name of the server, $5 what starts the shell, $6 what runs in tmux, then the options,
 * each ended by `;`. Echo is off until the shell's own terminal does it for what is typed ahead.
 */
const openScript = `r=$1 c=$2 d=$3 n=$4 login=$5 inside=$6; shift 6
if command -v tmux >/dev/null 2>&1; then
stty rows "$r" cols "$c" -echo 2>/dev/null; f=${exitFileOf('$n')}; rm -f "$f"
tmux -u -L "$n" -f /dev/null "$@" new-session -s ${name} /bin/sh -c "$inside" spoonbox "$f" "$login" "$d" >/dev/null 2>&1
${exitScript}
stty echo 2>/dev/null
fi
exec /bin/sh -c "$login" spoonbox "$r" "$c" "$d"`;

/** A login shell under a tmux server of its own, or without where the image has none. */
export function persistentLoginCommand(
  session: string,
  { rows, cols }: TerminalSize,
  directory: string | null,
): string[] {
  const options = serverOptions.flatMap((command) => [...command, ';']);
  const given = [String(rows), String(cols), directory ?? '', serverOf(session), loginScript, insideScript];
  return ['/bin/sh', '-c', openScript, 'spoonbox', ...given, ...options];
}

/** Exit code 0: the session has such a server. */
export function hasServerCommand(session: string): string[] {
  return ['/bin/sh', '-c', `tmux -L "$1" has-session -t ${name}`, 'spoonbox', serverOf(session)];
}

/**
 * $1 name of the server, $2 tenths of a second. The shell itself is told, too: it is not what leads the kernel's session, and
 * where it runs a program the kernel tells that one only.
 */
const endServerScript = `p=$(tmux -L "$1" list-panes -a -F '#{pane_pid}') || exit 2
p="$p $(cat /proc/$p/task/$p/children 2>/dev/null)"; kill -HUP \${p#* } 2>/dev/null; kill -CONT \${p#* } 2>/dev/null
tmux -L "$1" kill-server 2>/dev/null; i=0
lives() { for q in $p; do kill -0 $q 2>/dev/null && return; done; return 1; }
while [ $i -lt "$2" ]; do lives || exit 0; sleep 0.1; i=$((i+1)); done; exit 1`;

/** Hangs up the shell by ending its server. Exit code 0: the shell is gone; 1: it outlived that; else there was no server. */
export function endServerCommand(session: string, withinMs: number): string[] {
  return ['/bin/sh', '-c', endServerScript, 'spoonbox', serverOf(session), String(Math.ceil(withinMs / 100))];
}

/** By this name the sweep knows it, too: see `session-marks.ts`. */
export function serverOf(session: string): string {
  return `spoonbox-${session}`;
}

/** Beside the server's socket, in a directory that tmux makes for its user alone. */
export function exitFileOf(server: string): string {
  return `"\${TMUX_TMPDIR:-/tmp}/tmux-$(id -u)/${server}.exit"`;
}
