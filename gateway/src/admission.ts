import type { IncomingMessage } from 'node:http';
import type { BoxStore } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import { verifyLegacyToken } from '#shared/legacy-token.ts';
import type { Logger } from '#shared/log.ts';
import { spoonNames } from '#shared/spoon-names.ts';
import {
  TerminalSize,
  terminalPath,
  terminalProtocol,
  tokenProtocolPrefix,
  usualSize,
} from '#shared/terminal-protocol.ts';
import type { TerminalClaims } from '#shared/terminal-claims.ts';
import { type Verified, verifyTerminalToken } from '#shared/terminal-token.ts';
import { addressOf, type ConnectRate } from './connect-rate.ts';
import { Ending, storeIsSilent } from './ending.ts';
import type { GatewayLimits } from './limits.ts';
import type { Refusal } from './refusal.ts';
import type { Sessions } from './sessions.ts';

/** What a request for a terminal says, before anything of it is believed. */
export interface TerminalRequest {
  readonly protocol: 'spoonbox.v1' | 'raw';
  /** null: it comes with the first message (only with the protocol) */
  readonly token: string | null;
  readonly size: TerminalSize;
  /** the size is the client's: no first message comes that says another, or it was said here already */
  readonly hasSize: boolean;
}

/** With `legacy`, also where Spoon's own worker served terminals, and as it named the token. */
export function readTerminalRequest(request: IncomingMessage, legacy = false): TerminalRequest | Refusal {
  const url = URL.parse(request.url ?? '', 'http://gateway');
  const paths: readonly string[] = legacy ? [terminalPath, ...spoonNames.terminalPaths] : [terminalPath];
  if (url === null || !paths.includes(url.pathname)) {
    return { code: 'route-unknown', detail: `terminals are at ${terminalPath}` };
  }
  if (request.method !== 'GET') return { code: 'method-refused', detail: 'a WebSocket begins with GET' };
  const offered = (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean);
  if (offered.length > 0 && !offered.includes(terminalProtocol)) {
    const detail = `offer the subprotocol ${terminalProtocol}, or none for raw bytes`;
    return { code: 'protocol-unknown', detail };
  }
  const offeredToken = offered.find((entry) => entry.startsWith(tokenProtocolPrefix));
  const parameters = legacy ? spoonNames.tokenParameters : (['token'] as const);
  const inUrl = parameters.map((name) => url.searchParams.get(name)).find((value) => value !== null) ?? null;
  const token = offeredToken?.slice(tokenProtocolPrefix.length) ?? inUrl;
  const raw = offered.length === 0;
  if (raw && token === null) {
    return { code: 'token-missing', detail: 'a socket without a subprotocol needs ?token=' };
  }
  const size = sizeIn(url.searchParams);
  if (size === null) return { code: 'size-refused', detail: 'cols and rows are whole numbers from 1 to 1000' };
  // An empty one says nothing, as in `sizeIn`.
  const hasSize = raw || ['cols', 'rows'].every((name) => url.searchParams.get(name));
  return { protocol: raw ? 'raw' : terminalProtocol, token, size, hasSize };
}

function sizeIn(query: URLSearchParams): TerminalSize | null {
  const read = (name: 'cols' | 'rows'): number => {
    const text = query.get(name);
    return text === null || text === '' ? usualSize[name] : Number(text);
  };
  return TerminalSize.safeParse({ cols: read('cols'), rows: read('rows') }).data ?? null;
}

/**
 * Whether a page of this origin may open terminals. A request without an Origin does not come from a browser and is judged
 * by its token alone.
 */
export function refusedOrigin(request: IncomingMessage, allowed: readonly string[]): Refusal | null {
  const { origin } = request.headers;
  if (allowed.length === 0 || origin === undefined || allowed.includes(origin)) return null;
  const detail = `pages of ${origin} may not open terminals here; SPOON_ALLOWED_ORIGINS names those that may`;
  return { code: 'origin-refused', detail };
}

/**
 * Lets a token in, once: whether there is a place on this gateway first, then its id is spent.
 *
 * INVARIANT: an id that this gateway has let in is refused until it expires, whatever Redis remembers.
 */
export class Admission {
  readonly #deps: {
    readonly store: BoxStore;
    readonly clock: Clock;
    readonly limits: GatewayLimits;
    readonly log: Logger;
    readonly secret: string;
    readonly legacyTokens: boolean;
    readonly sessions: Sessions;
    readonly rate: ConnectRate;
  };
  /** token id → monotonic time at which it is forgotten, oldest first */
  readonly #used = new Map<string, number>();
  #toldLegacy = false;

  constructor(deps: {
    store: BoxStore;
    clock: Clock;
    limits: GatewayLimits;
    log: Logger;
    secret: string;
    legacyTokens: boolean;
    sessions: Sessions;
    rate: ConnectRate;
  }) {
    this.#deps = deps;
  }

  /** Throws an Ending that says why not. */
  async admit(token: string): Promise<TerminalClaims> {
    const verified = await this.#verify(token);
    if (!verified.ok) throw new Ending('token-refused', { errorCode: verified.code, message: verified.message });
    countUser(this.#deps.rate, verified.claims.user);
    this.#deps.sessions.mustHavePlace(verified.claims, false);
    await this.spend(verified.claims.jti);
    return verified.claims;
  }

  /** A token of Spoon's own shape where that is asked for; where it is not, the log says once that it could be. */
  async #verify(token: string): Promise<Verified> {
    const { secret, legacyTokens, log } = this.#deps;
    const ours = await verifyTerminalToken(secret, token);
    if (ours.ok || (ours.code !== 'token-foreign' && ours.code !== 'token-claims')) return ours;
    if (!legacyTokens && this.#toldLegacy) return ours;
    const legacy = await verifyLegacyToken(secret, token);
    // One of ours that says something wrong is told what.
    if (legacyTokens) return legacy.ok || ours.code === 'token-foreign' ? legacy : ours;
    if (legacy.ok) {
      this.#toldLegacy = true;
      log.warn("a terminal token in the shape of Spoon's own worker is refused: SPOON_LEGACY_TOKENS=1 lets such in");
    }
    return ours;
  }

  /** Lets a token's id pass once; throws an Ending where it does not. */
  async spend(jti: string): Promise<void> {
    const { clock, store, limits, log } = this.#deps;
    const now = clock.monotonicMs();
    for (const [id, forgetAt] of this.#used) {
      if (forgetAt > now) break;
      this.#used.delete(id);
    }
    if (this.#used.has(jti)) throw usedToken();
    if (this.#used.size >= limits.rememberedTokens) throw new Ending('try-later');
    this.#used.set(jti, now + rememberMs);
    let unused: boolean;
    try {
      unused = await store.useToken(jti, rememberMs);
    } catch (error) {
      // Whether it is spent is unknown; Redis knows when the same token comes again.
      this.#used.delete(jti);
      log.warn({ error }, 'no terminal opened: Redis does not answer');
      throw storeIsSilent();
    }
    if (!unused) throw usedToken();
  }
}

/** Longer than any token is valid, with both clocks' tolerance. */
const rememberMs = 120_000;

/** Counts a connect of a terminal or a command for its address. Throws an Ending where it comes too early. */
export function countAddress(rate: ConnectRate, request: IncomingMessage): void {
  mustWaitNot(rate.takeAddress(addressOf(request, rate.proxies)), 'connects from one address');
}

/** The same for its user, once that is certain. */
export function countUser(rate: ConnectRate, user: UserName): void {
  mustWaitNot(rate.takeUser(user), `connects of ${user}`);
}

function mustWaitNot(waitMs: number, what: string): void {
  if (waitMs === 0) return;
  const message = `too many ${what} in a short time; try again in ${Math.ceil(waitMs / 1_000)} s`;
  throw new Ending('too-fast', { message });
}

function usedToken(): Ending {
  return new Ending('token-refused', {
    errorCode: 'token-used',
    message: 'the terminal token is refused: it was used before; ask for a new one',
  });
}
