import { WebSocket } from 'ws';
import type { ApiClient } from '../../sdk/api-client.ts';
import { terminalsAt } from '../../sdk/gateway-address.ts';
import type { Settings } from '../../sdk/settings.ts';
import { failure, type Finding, ok } from './finding.ts';

const answerWithinMs = 5_000;
const mend =
  'start the gateway; where a proxy is before it, let it pass WebSocket upgrades on (Upgrade and Connection headers)';

/** Whether terminals can be opened from here: an upgrade without a token must reach the gateway, and be refused by it. */
export async function checkGateway(client: ApiClient & { settings: Settings }, signal: AbortSignal): Promise<Finding> {
  const { gateway } = client.settings;
  const { terminalUrl } = await client.whoAmI(signal);
  const url = gateway === null ? terminalUrl : terminalsAt(gateway);
  const answer = await upgrade(url, AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]));
  signal.throwIfAborted();
  if (answer.status === 401) return ok('gateway', `${url} takes WebSockets, and refuses one without a token`);
  if (answer.status === null) return failure('gateway', `${url} cannot be reached (${answer.why})`, mend);
  return failure('gateway', `${url} answered ${answer.why} to a WebSocket without a token, and not 401`, mend);
}

function upgrade(url: string, signal: AbortSignal): Promise<{ status: number | null; why: string }> {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const done = (status: number | null, why: string): void => {
      signal.removeEventListener('abort', onAbort);
      resolve({ status, why });
      socket.terminate();
    };
    const onAbort = (): void => done(null, 'no answer in time');
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('unexpected-response', (_request, { statusCode = 0 }) => done(statusCode, `HTTP ${statusCode}`));
    socket.on('open', () => done(101, 'with an open socket'));
    socket.on('error', (error) => done(null, error.message));
  });
}
