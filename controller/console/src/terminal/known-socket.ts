import { session } from '../session/session.ts';

/** A terminal is at a gateway that this page may not reach; no other attempt changes that. */
export class OtherGateway extends Error {
  override readonly name = 'OtherGateway';

  constructor(host: string, user: string) {
    super(
      `this terminal is at another gateway, ${host}, which this page may not reach: put a proxy before the gateways that sends ` +
        `each session to one of them, or go on with \`spoonbox attach ${user}\``,
    );
  }
}

/** The page's policy lets it talk to one gateway's address only; the browser would say no more than that it failed. */
export function openKnownSocket(url: string, protocols: string[], user: string): WebSocket {
  const state = session.get();
  const known = state.is === 'in' ? state.who.terminalUrl : state.is === 'out' ? state.was?.terminalUrl : undefined;
  if (known !== undefined && !isSameHost(url, known)) throw new OtherGateway(new URL(url).host, user);
  return new WebSocket(url, protocols);
}

function isSameHost(url: string, known: string): boolean {
  return new URL(url).host === new URL(known).host;
}
