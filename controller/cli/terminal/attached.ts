import type { NoticeCode, ServerMessage } from '#shared/terminal-protocol.ts';
import { type Closed, openTerminal, type TerminalAccess, type TerminalEvent } from '#shared/terminal-client.ts';
import { ApiRefusal, SpoonboxError } from '../../sdk/errors.ts';
import { unusable } from '../../sdk/gateway-refusal.ts';
import { exitCodes } from '../command.ts';
import { printable, statusLine } from '../output.ts';
import { waitingLine } from '../waiting-text.ts';
import { createEscapeFilter, escapeHelp } from './escape.ts';
import { openLocalTerminal } from './local-terminal.ts';
import { openSocket } from './open-socket.ts';

const endOfInput = 0x04;
/** After the end of a piped input the shell is told so (Ctrl-D), once it has been quiet for this long. */
const quietMs = 300;
/** A program may have swallowed the Ctrl-D: it is sent again while the shell goes on, at most this often. */
const maxEndsOfInput = 600;
const interruptKey = 0x03;
const onlyTheHome = 'only the home survives';
/** A command that cannot begin says so at once; one that has begun waits for the network for a while. */
const limits = { firstForMs: 0, againForMs: 15 * 60_000 };

export interface AttachedStreams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

/** `session`: the one to go on with; null = as the person asked for. */
export type GetAccess = (session: string | null, signal: AbortSignal) => Promise<TerminalAccess>;

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
  getAccess: GetAccess,
  { stdin, stdout, stderr }: AttachedStreams,
  signal: AbortSignal,
): Promise<number> {
  const local = openLocalTerminal(stdin, stdout);
  const status = statusLine(stderr);
  const escapes = local.interactive ? createEscapeFilter() : null;
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<number>();
  let url = '';
  let shellOf = ''; // the container in which the shell runs; '' while there is none
  let lastShellOf = '';
  let lost = false;
  let inputEnded = false;
  let endsSent = 0;
  let quietTimer: NodeJS.Timeout | null = null;

  const say = (text: string): void => {
    status.clear();
    if (local.interactive && shellOf !== '') local.tell(printable(text));
    else stderr.write(`${printable(text)}${local.interactive ? '\r\n' : '\n'}`);
  };

  function onOutput(bytes: Uint8Array, parsed: () => void): void {
    local.watch(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    stdout.write(bytes, parsed);
    if (inputEnded) tellEndOfInput();
  }

  function onEvent(event: TerminalEvent): void {
    switch (event.type) {
      case 'hello':
        onHello(event);
        return;
      case 'screen':
        local.clear();
        return;
      case 'status':
        if (shellOf === '') status.show(`${user}: ${waitingLine(event, stderr)}`);
        return;
      case 'notice':
        onNotice(event.code, event.message);
        return;
      case 'warning':
        say(event.message);
        return;
      case 'reconnecting':
        if (shellOf !== '' && !lost)
          say(`connection lost (${event.why}), trying again …${escapes ? ' (~. leaves)' : ''}`);
        lost = shellOf !== '';
        return;
      case 'input-lost':
        say(`${event.bytes} bytes that were typed meanwhile are dropped: type them again`);
        return;
      case 'exit':
        onExit(event);
        return;
      case 'closed':
        onClosed(event);
        return;
      case 'error': // `closed` tells it where it is the end
      case 'size':
      case 'viewers':
        return;
    }
  }

  function onHello({ containerId, start }: Extract<ServerMessage, { type: 'hello' }>): void {
    status.clear();
    if (lost) say(start === 'new' ? 'connected again' : 'connected again, the shell goes on');
    lost = false;
    if (lastShellOf !== '' && lastShellOf !== containerId) {
      say(`a new shell in a new box of ${user}: ${onlyTheHome}`);
    }
    shellOf = containerId;
    lastShellOf = containerId;
    local.raw(true);
    stdin.resume();
    if (inputEnded) tellEndOfInput();
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

  /** An `exit` before it has settled the code already. */
  function onClosed({ how, message, error }: Closed): void {
    if (how === 'exit' || how === 'done') {
      end(exitCodes.terminalLost);
      return;
    }
    if (lastShellOf === '' && error !== null) {
      fail(error instanceof SpoonboxError ? error : unusable(url, error));
      return;
    }
    if (shellOf !== '') local.reset();
    shellOf = '';
    say(message);
    end(exitCodes.terminalLost);
  }

  async function onInput(chunk: Buffer): Promise<void> {
    stdin.pause();
    if (shellOf === '' && chunk.includes(interruptKey)) return end(exitCodes.interrupted);
    for (const typed of escapes ? escapes(chunk) : [{ type: 'bytes' as const, bytes: chunk }]) {
      if (typed.type === 'bytes') await remote.type(new Uint8Array(typed.bytes));
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
        remote.type(Uint8Array.of(endOfInput)).catch(fail);
        tellEndOfInput();
      },
      quietMs * Math.min(10, 1 + endsSent),
    );
  }

  const onData = (chunk: Buffer): void => {
    onInput(chunk).catch(fail);
  };
  const onEnd = (): void => {
    inputEnded = true;
    tellEndOfInput();
  };
  const onAbort = (): void => end(exitCodes.interrupted);
  signal.addEventListener('abort', onAbort, { once: true });
  const remote = openTerminal(
    {
      async getToken(session, stop) {
        const access = await getAccess(session, stop);
        url = access.url;
        return access;
      },
      size: local.size(),
      on: onEvent,
      output: onOutput,
      openSocket,
      isFinal: (error) => error instanceof ApiRefusal && isForGood(error.problem.status),
      limits,
    },
    signal,
  );
  const stopResizing = local.onResize(() => remote.resize(local.size()));
  try {
    // What is typed before the shell runs waits where it is: in the pipe, or in the terminal.
    stdin.pause();
    stdin.on('data', onData).on('end', onEnd);
    if (stdin.readableEnded) onEnd();
    stdin.pause();
    const code = await ended;
    signal.throwIfAborted();
    return code;
  } finally {
    signal.removeEventListener('abort', onAbort);
    if (quietTimer) clearTimeout(quietTimer);
    stopResizing();
    stdin.off('data', onData).off('end', onEnd);
    stdin.pause();
    status.clear();
    local.restore();
    remote.close();
    await remote.closed;
  }
}

/** A refusal that no waiting mends. */
function isForGood(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
