import type { TerminalSize } from '#shared/terminal-protocol.ts';

/** Lines above the screen that are made anew too. */
const scrollback = 2_000;
const reset = '\u001bc';

/**
 * The screen that output leaves, as bytes that make it anew on a terminal of that size: clean, and without any question that
 * a terminal would answer. Made by a terminal without a window, which costs several times what the bytes cost to relay and some
 * megabytes: only for a client that needs bytes which are gone.
 *
 * `modes` are those that were set before `output` begins; a sequence that it begins in the middle of is left out.
 */
export async function drawScreen(of: {
  readonly output: Buffer;
  readonly isCut: boolean;
  readonly modes: string;
  readonly size: TerminalSize;
}): Promise<Buffer> {
  const [{ default: headless }, { default: addon }] = await Promise.all([
    import('@xterm/headless'),
    import('@xterm/addon-serialize'),
  ]);
  const terminal = new headless.Terminal({ ...of.size, scrollback, allowProposedApi: true });
  try {
    const serializer = new addon.SerializeAddon();
    terminal.loadAddon(serializer);
    terminal.write(of.modes);
    const output = of.isCut ? of.output.subarray(wholeFrom(of.output)) : of.output;
    await new Promise<void>((resolve) => terminal.write(output, resolve));
    return Buffer.from(reset + serializer.serialize({ scrollback }));
  } finally {
    terminal.dispose();
  }
}

/** The first place where no escape sequence or character is cut: after a line feed, or at an escape. */
function wholeFrom(output: Buffer): number {
  const searched = output.subarray(0, 4_096);
  const feed = searched.indexOf(0x0a);
  if (feed !== -1) return feed + 1;
  return Math.max(0, searched.indexOf(0x1b));
}
