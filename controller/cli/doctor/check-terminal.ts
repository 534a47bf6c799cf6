import { WebSocket } from 'ws';
import { failure, type Finding, ok } from '#shared/finding.ts';
import { humanDuration } from '#shared/human-time.ts';
import { parseJson } from '#shared/json.ts';
import { ServerMessage, terminalProtocol } from '#shared/terminal-protocol.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import { printable } from '../output.ts';

const startWithinMs = 300_000;
const answerWithinMs = 15_000;
/** Any shell's words, and not what the terminal shows of the typing. */
const typed = "printf '%s%s\\n' spoonbox- answers\r";
const answer = 'spoonbox-answers';
const mend =
  'look at the gateway (`spoonbox events USER`), and at the proxy: it must let a WebSocket live over which nothing but a ping comes each 20 s (nginx: proxy_read_timeout 75s or more)';

/**
 * A terminal from end to end, as a user has it: the box is started, a shell answers, nobody says anything for `holdMs`, and the shell
 * answers again. It ends with the session; the box goes when it is idle.
 */
export async function checkTerminal(
  client: Pick<ApiClient, 'terminalToken'>,
  asked: {
    readonly user: string;
    /** where terminals are opened from here; null = as the token says */
    readonly terminalUrl: string | null;
    readonly holdMs: number;
    readonly onStatus: (text: string) => void;
  },
  signal: AbortSignal,
): Promise<Finding> {
  const { user, terminalUrl, holdMs, onStatus } = asked;
  const check = `terminal of ${user}`;
  const given = await client.terminalToken(user, {}, signal);
  const url = terminalUrl === null ? given.url : `${terminalUrl}?session=${encodeURIComponent(given.session)}`;
  const terminal = await open(url, given.token, onStatus, signal);
  try {
    await terminal.answers(startWithinMs, 'the box and its shell');
    onStatus(`nothing is said for ${humanDuration(holdMs)}`);
    await terminal.silence(holdMs);
    await terminal.answers(answerWithinMs, `an answer after ${humanDuration(holdMs)} of silence`);
    return ok(check, `a shell answers, also after ${humanDuration(holdMs)} of silence`);
  } catch (error) {
    signal.throwIfAborted();
    return failure(
      check,
      error instanceof Error ? printable(error.message) : String(error),
      mend.replace('USER', user),
    );
  } finally {
    terminal.end();
  }
}

interface Terminal {
  /** Types, and waits for what a shell says to that. Rejects when the socket closes, or it takes too long. */
  answers(withinMs: number, what: string): Promise<void>;
  /** Rejects when the socket closes meanwhile. */
  silence(forMs: number): Promise<void>;
  end(): void;
}

async function open(
  url: string,
  token: string,
  onStatus: (text: string) => void,
  signal: AbortSignal,
): Promise<Terminal> {
  const socket = new WebSocket(url, terminalProtocol, { perMessageDeflate: false });
  const closed = new AbortController();
  const ending = AbortSignal.any([signal, closed.signal]);
  let shown = '';
  let isReady = false;
  let onChange: () => void = () => {};
  let lastError = '';
  socket.on('message', (data, isBinary) => {
    if (isBinary) shown = (shown + String(data)).slice(-4_096);
    else {
      const message = ServerMessage.safeParse(parseJson(String(data))).data;
      if (message?.type === 'hello') isReady = true;
      if (message?.type === 'status') onStatus(printable(message.message));
      if (message?.type === 'error' || message?.type === 'exit') lastError = message.message;
    }
    onChange();
  });
  socket.on('open', () => socket.send(JSON.stringify({ type: 'hello', token, cols: 80, rows: 24 })));
  socket.on('close', (code) => closed.abort(new Error(`it was closed with ${code} ${lastError}`.trim())));
  socket.on('error', (error) => closed.abort(new Error(`it cannot be opened: ${error.message}`)));

  function until(holds: () => boolean, withinMs: number, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const limit = AbortSignal.any([ending, AbortSignal.timeout(withinMs)]);
      const onAbort = (): void =>
        reject(ending.aborted ? ending.reason : new Error(`${what} did not come within ${humanDuration(withinMs)}`));
      if (limit.aborted) onAbort();
      limit.addEventListener('abort', onAbort, { once: true });
      onChange = () => {
        if (!holds()) return;
        limit.removeEventListener('abort', onAbort);
        resolve();
      };
      onChange();
    });
  }

  return {
    async answers(withinMs, what) {
      await until(() => isReady, withinMs, what);
      shown = '';
      socket.send(Buffer.from(typed));
      await until(() => shown.includes(answer), withinMs, what);
    },
    silence: (forMs) =>
      new Promise((resolve, reject) => {
        const startedMs = performance.now();
        const timer = setTimeout(() => {
          ending.removeEventListener('abort', onAbort);
          resolve();
        }, forMs);
        const onAbort = (): void => {
          clearTimeout(timer);
          const after = humanDuration(performance.now() - startedMs);
          reject(new Error(`after ${after} of silence ${ending.reason.message}`));
        };
        if (ending.aborted) onAbort();
        else ending.addEventListener('abort', onAbort, { once: true });
      }),
    end() {
      // 1000 ends the session for good.
      if (socket.readyState === WebSocket.OPEN) socket.close(1000);
      else socket.terminate();
    },
  };
}
