import type { NoticeCode, ServerMessage } from '#shared/terminal-protocol.ts';
import { terminalLimits } from '#shared/terminal-protocol.ts';
import { exitCodes } from '../command.ts';
import { printable, statusLine } from '../output.ts';
import { createEscapeFilter, escapeHelp } from './escape.ts';
import { openLocalTerminal } from './local-terminal.ts';
import { openRemoteTerminal, type RemoteTerminal } from './remote-terminal.ts';

const endOfInput = Buffer.from([0x04]);
/** After the end of a piped input the shell is told so (Ctrl-D), once it has been quiet for this long. */
const quietMs = 300;
/** A program may have swallowed the Ctrl-D: it is sent again while the shell goes on, at most this often. */
const maxEndsOfInput = 600;
const interruptKey = 0x03;
const onlyTheHome = 'only the home survives';

export interface AttachedStreams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/**
 * One terminal in a box, from the first message to the exit code of its shell.
 *
 * INVARIANTS
 * - the local terminal is raw exactly while a shell runs, and is always as it was before when this returns or throws
 * - output is acknowledged only once it has been written, so a slow reader here slows the shell, and nothing piles up
 * - one chunk of input is on its way at a time
 */
export async function attachTerminal(
  user: string,
  where: { url: string; token: string },
  { stdin, stdout, stderr }: AttachedStreams,
  signal: AbortSignal,
): Promise<number> {
  const local = openLocalTerminal(stdin, stdout);
  const status = statusLine(stderr);
  const escapes = local.interactive ? createEscapeFilter() : null;
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  let remote: RemoteTerminal | null = null;
  let shellOf = ''; // the container in which the shell runs; '' while there is none
  let lastShellOf = '';
  let unacknowledged = 0;
  let inputEnded = false;
  let endsSent = 0;
  let quietTimer: NodeJS.Timeout | null = null;
  let told = '';

  const say = (text: string): void => {
    status.clear();
    stderr.write(`${printable(text)}${local.interactive ? '\r\n' : '\n'}`);
  };

  function onBytes(bytes: Buffer): void {
    local.watch(bytes);
    stdout.write(bytes, () => {
      unacknowledged += bytes.length;
      if (unacknowledged < terminalLimits.ackEveryBytes / 2) return;
      remote?.send({ type: 'ack', bytes: unacknowledged });
      unacknowledged = 0;
    });
    if (inputEnded) tellEndOfInput();
  }

  function onMessage(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        status.clear();
        if (lastShellOf !== '' && lastShellOf !== message.containerId) {
          say(`a new shell in a new box of ${user}: ${onlyTheHome}`);
        }
        shellOf = message.containerId;
        lastShellOf = message.containerId;
        local.raw(true);
        stdin.resume();
        if (inputEnded) tellEndOfInput();
        return;
      case 'status':
        if (shellOf === '') status.show(`${user}: ${waiting(message)}`);
        return;
      case 'notice':
        onNotice(message.code, message.message);
        return;
      case 'warning':
        say(message.message);
        return;
      case 'error':
        told = message.message;
        return;
      case 'exit':
        onExit(message);
        return;
      case 'pong':
        return;
    }
  }

  function onNotice(code: NoticeCode, text: string): void {
    if (code === 'box-gone') {
      shellOf = '';
      local.reset();
      local.raw(false);
    }
    say(text);
  }

  function onExit({ code, reason, message }: Extract<ServerMessage, { type: 'exit' }>): void {
    shellOf = '';
    if (reason !== 'exited') {
      local.reset();
      local.raw(false);
      const homeToo = /reaped|deleted|idle/.test(reason) && !message.includes('home');
      say(homeToo ? `${message}; ${onlyTheHome}` : message);
    }
    end(reason === 'exited' ? (code ?? exitCodes.terminalLost) : exitCodes.terminalLost);
  }

  function onClosed(text: string): void {
    // An `exit` before it has settled the code already.
    if (shellOf !== '') local.reset();
    if (told === '') told = text;
    end(exitCodes.terminalLost);
  }

  async function onInput(chunk: Buffer): Promise<void> {
    stdin.pause();
    if (shellOf === '' && chunk.includes(interruptKey)) return end(exitCodes.interrupted);
    for (const typed of escapes ? escapes(chunk) : [{ type: 'bytes' as const, bytes: chunk }]) {
      if (typed.type === 'bytes') await remote?.type(typed.bytes);
      else if (typed.type === 'help') stderr.write(`\r\n${escapeHelp.replaceAll('\n', '\r\n')}\r\n`);
      else {
        shellOf = '';
        local.reset();
        say(`left the terminal of ${user}; its shell is hung up, the box stays for its idle time`);
        return end(exitCodes.ok);
      }
    }
    stdin.resume();
  }

  /** Again and again while the shell goes on, each time after a quiet while. */
  function tellEndOfInput(): void {
    if (quietTimer) clearTimeout(quietTimer);
    if (shellOf === '' || endsSent >= maxEndsOfInput) return;
    quietTimer = setTimeout(
      () => {
        endsSent += 1;
        void remote?.type(endOfInput);
        tellEndOfInput();
      },
      quietMs * Math.min(10, 1 + endsSent),
    );
  }

  const onData = (chunk: Buffer): void => {
    void onInput(chunk);
  };
  const onEnd = (): void => {
    inputEnded = true;
    tellEndOfInput();
  };
  const stopResizing = local.onResize(() => remote?.send({ type: 'resize', ...local.size() }));
  const onAbort = (): void => end(exitCodes.interrupted);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const events = { bytes: onBytes, message: onMessage, closed: onClosed };
    remote = await openRemoteTerminal(where.url, where.token, events, signal);
    // What is typed before the shell runs waits where it is: in the pipe, or in the terminal.
    stdin.pause();
    stdin.on('data', onData).on('end', onEnd);
    if (stdin.readableEnded) onEnd();
    stdin.pause();
    remote.send({ type: 'hello', ...local.size() });
    const code = await ended;
    signal.throwIfAborted();
    if (code === exitCodes.terminalLost && told !== '') say(told);
    return code;
  } finally {
    signal.removeEventListener('abort', onAbort);
    if (quietTimer) clearTimeout(quietTimer);
    stopResizing();
    stdin.off('data', onData).off('end', onEnd);
    stdin.pause();
    status.clear();
    local.restore();
    await remote?.close();
  }
}

/** What the box does, in few words. */
function waiting({ phase, step, message, progress }: Extract<ServerMessage, { type: 'status' }>): string {
  if (step === 'pulling' && progress && progress.totalBytes > 0) {
    return `image is pulled ${Math.min(100, Math.floor((progress.doneBytes / progress.totalBytes) * 100))} %`;
  }
  return printable(message) || `${phase}${step ? ` (${step})` : ''}`;
}
