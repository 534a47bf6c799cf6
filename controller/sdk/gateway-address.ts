import { execPath } from '#shared/exec-protocol.ts';
import { terminalPath } from '#shared/terminal-protocol.ts';
import type { ApiClient } from './api-client.ts';

/** Where commands are run: at the gateway that was named, or else at the one that the API names, which is asked once. */
export function createGatewayAddress(
  api: Pick<ApiClient, 'whoAmI'>,
  gateway: string | null,
): { execUrl(signal: AbortSignal): Promise<string> } {
  let known = gateway === null ? null : toWebSocket(gateway) + execPath;
  return {
    async execUrl(signal) {
      known ??= execUrlOf((await api.whoAmI(signal)).terminalUrl);
      return known;
    },
  };
}

/** Where a gateway that people named by any address takes terminals. */
export function terminalsAt(gateway: string): string {
  return toWebSocket(gateway) + terminalPath;
}

function toWebSocket(url: string): string {
  return url.replace(/^http/, 'ws').replace(/\/+$/, '');
}

/** Beside the terminals, whatever stands before both. */
function execUrlOf(terminalUrl: string): string {
  const url = new URL(terminalUrl);
  url.search = '';
  url.pathname = url.pathname.slice(0, url.pathname.lastIndexOf(terminalPath)) + execPath;
  return url.href;
}
