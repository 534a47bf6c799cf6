import { WebSocket } from 'ws';
import { failure, type Finding, ok, warning } from '#shared/finding.ts';
import { isThisMachine } from '#shared/this-machine.ts';
import { closeTable, terminalProtocol } from '#shared/terminal-protocol.ts';

const answerWithinMs = 5_000;
const mend =
  'start the gateway; where a proxy is before it, let it pass WebSocket upgrades on (Upgrade and Connection headers, HTTP/1.1)';
/** No page has this origin (RFC 6761). */
const elsewhere = 'https://elsewhere.invalid';

/** What became of a WebSocket with a token that is none: its HTTP status before there was one, or its close code. */
interface Answer {
  readonly status: number | null;
  readonly closeCode: number | null;
  readonly why: string;
}

/** A real WebSocket, with bytes both ways: a wrong token must reach the gateway, and be refused by it. */
export async function checkGateway(url: string, signal: AbortSignal): Promise<Finding> {
  const { status, closeCode, why } = await tried(url, null, signal);
  if (closeCode === closeTable['token-refused'].code) {
    return ok('gateway', `${url} passes WebSockets on both ways, and refuses a wrong token`);
  }
  if (closeCode !== null) return failure('gateway', `${url} closed a WebSocket with ${closeCode} (${why})`, mend);
  if (status === null) return failure('gateway', `${url} cannot be reached (${why})`, mend);
  return failure('gateway', `${url} answered ${why} to a WebSocket, and not 101`, mend);
}

/** Whose pages may open terminals: the console's must, and others only where nobody said which. */
export async function checkOrigins(url: string, consoleOrigin: string, signal: AbortSignal): Promise<Finding> {
  const check = 'origins';
  const own = await tried(url, consoleOrigin, signal);
  if (own.status === 403) {
    const found = `pages of ${consoleOrigin}, where the console is, may not open terminals`;
    return warning(check, found, `add ${consoleOrigin} to SPOON_ALLOWED_ORIGINS, or mend SPOON_PUBLIC_URL`);
  }
  if (own.closeCode === null) return warning(check, `not checked: ${url} does not open WebSockets`, 'mend that first');
  const other = await tried(url, elsewhere, signal);
  if (other.status === 403)
    return ok(check, `pages of ${consoleOrigin} may open terminals, others only if they are listed`);
  const found = 'any page may open terminals, if it has a token';
  if (isThisMachine(new URL(url).hostname)) return ok(check, `${found}; nobody else gets at ${url}`);
  return warning(check, found, `set SPOON_ALLOWED_ORIGINS to the pages that show terminals, such as ${consoleOrigin}`);
}

function tried(url: string, origin: string | null, signal: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]);
    const socket = new WebSocket(url, terminalProtocol, {
      perMessageDeflate: false,
      ...(origin === null ? {} : { origin }),
    });
    const done = (answer: Answer): void => {
      limit.removeEventListener('abort', onAbort);
      if (signal.aborted) reject(signal.reason);
      else resolve(answer);
      socket.terminate();
    };
    const onAbort = (): void => done({ status: null, closeCode: null, why: 'no answer in time' });
    limit.addEventListener('abort', onAbort, { once: true });
    socket.on('unexpected-response', (_request, { statusCode = 0 }) =>
      done({ status: statusCode, closeCode: null, why: `HTTP ${statusCode}` }),
    );
    socket.on('open', () => socket.send(JSON.stringify({ type: 'hello', token: 'none', cols: 80, rows: 24 })));
    socket.on('close', (code, reason) => done({ status: 101, closeCode: code, why: reason.toString() }));
    socket.on('error', (error) => done({ status: null, closeCode: null, why: error.message }));
  });
}
