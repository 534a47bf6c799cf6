import { spawnSync } from 'node:child_process';
import type { TerminalSize } from '#shared/terminal-protocol.ts';

const withoutTerminal: TerminalSize = { cols: 80, rows: 24 };
const alternateScreenOn = '\u001b[?1049h';
const softReset = '\u001b[!p';
const alternateScreenOff = '\u001b[?1049l';
/** Mouse reports, bracketed paste, application keys and colours off; the cursor on. */
const plainAgain =
  '\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1006l\u001b[?2004l\u001b[?1l\u001b>\u001b[?25h\u001b[0m';

export interface LocalTerminal {
  /** keys come one by one, and Ctrl-C is a byte like others */
  readonly interactive: boolean;
  size(): TerminalSize;
  raw(on: boolean): void;
  /** Looks at what is written, to know what must be undone. */
  watch(output: Buffer): void;
  /** A line for the person, beside the remote screen: one of its own, or the first one of a full-screen program. */
  tell(text: string): void;
  /** What follows makes the screen anew. */
  clear(): void;
  /** The remote program may have ended in the middle of a screen of its own. */
  reset(): void;
  /** The terminal as it was; also done when the process ends in any other way. */
  restore(): void;
  onResize(resized: () => void): () => void;
}

/** The terminal that the CLI runs in. Without one (pipes) nothing is changed, and the size is 80 × 24. */
export function openLocalTerminal(stdin: NodeJS.ReadStream, stdout: NodeJS.WriteStream): LocalTerminal {
  const interactive = stdin.isTTY === true;
  let isRaw = false;
  let onAlternateScreen = false;

  function raw(on: boolean): void {
    if (!interactive || isRaw === on) return;
    isRaw = on;
    stdin.setRawMode(on);
    // Node leaves the line feeds of the output to the terminal driver, which puts a return before each. The one in the box
    // has done so already, and where a program has told it not to, it means a step down in the same column.
    // Whatever was before comes back with the end of the raw mode. Without stty only such programs look odd.
    if (on) spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  }
  const restore = (): void => raw(false);
  process.once('exit', restore);

  return {
    interactive,
    size() {
      if (!stdout.isTTY) return withoutTerminal;
      const within = (count: number): number => Math.min(1_000, Math.max(1, count));
      return { cols: within(stdout.columns), rows: within(stdout.rows) };
    },
    raw,
    watch(output) {
      const on = output.lastIndexOf(alternateScreenOn);
      const off = output.lastIndexOf(alternateScreenOff);
      if (on !== off) onAlternateScreen = on > off;
    },
    tell(text) {
      const { cols } = this.size();
      stdout.write(onAlternateScreen ? `\u001b7\u001b[H${text.slice(0, cols)}\u001b[K\u001b8` : `\r\n${text}\r\n`);
    },
    clear() {
      if (!stdout.isTTY) return;
      stdout.write(`${alternateScreenOff}${softReset}${plainAgain}\u001b[H\u001b[2J`);
      onAlternateScreen = false;
    },
    reset() {
      if (!stdout.isTTY) return;
      stdout.write(`${onAlternateScreen ? alternateScreenOff : ''}${plainAgain}\r\n`);
      onAlternateScreen = false;
    },
    restore,
    onResize(resized) {
      stdout.on('resize', resized);
      return () => {
        stdout.off('resize', resized);
      };
    },
  };
}
