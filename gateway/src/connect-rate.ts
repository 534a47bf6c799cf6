import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import type { Clock } from '#shared/clock.ts';

export interface Rate {
  /** at once */
  readonly burst: number;
  /** in the long run */
  readonly perSecond: number;
}

export interface ConnectRateLimits {
  readonly user: Rate;
  readonly address: Rate;
  /** users, and addresses, that are remembered */
  readonly remembered: number;
}

export const defaultConnectRates: ConnectRateLimits = {
  // An agent runs many short commands; what is too much for the engine waits in the queue of starts.
  user: { burst: 60, perSecond: 10 },
  address: { burst: 200, perSecond: 50 },
  remembered: 10_000,
};

/**
 * How fast terminals and commands, together, may be opened by one user and from one address. Each `take…` answers 0, and the
 * connect is counted; or how long to wait in ms, and it is not.
 *
 * INVARIANT: what is forgotten for want of room is what was not used for longest. A bucket that has filled up again says
 * nothing, so only more than `remembered` of them in `burst / perSecond` seconds make the limit softer, never harder.
 */
export class ConnectRate {
  readonly #users: Buckets;
  readonly #addresses: Buckets;
  /** whose word is taken for where a connect comes from */
  readonly proxies: BlockList;

  constructor(clock: Clock, limits: ConnectRateLimits, proxies: BlockList) {
    this.proxies = proxies;
    this.#users = new Buckets(clock, limits.user, limits.remembered);
    this.#addresses = new Buckets(clock, limits.address, limits.remembered);
  }

  takeUser(user: string): number {
    return this.#users.take(user);
  }

  /** `address` as `addressOf` has it; null is not limited. */
  takeAddress(address: string | null): number {
    return address === null ? 0 : this.#addresses.take(address);
  }
}

/**
 * Where a connect comes from: the peer, or what a trusted proxy appended to X-Forwarded-For. An IPv6 address counts by its first
 * 64 bits, which is what one client gets. null: a process of this machine, or a proxy that does not tell; a limit there would be
 * one for everybody.
 */
export function addressOf(request: IncomingMessage, proxies: BlockList): string | null {
  const peer = (request.socket.remoteAddress ?? '').replace(mapped, '').replace(/%.*$/, '');
  if (isIP(peer) === 0 || !proxies.check(peer, isIPv4(peer) ? 'ipv4' : 'ipv6')) return normalized(peer);
  // Every proxy appends; what is before the last entry, the client may have written itself.
  const entries = [request.headers['x-forwarded-for'] ?? []].flat().join(',').split(',');
  return normalized(entries.at(-1)?.trim() ?? '');
}

/** This machine, and the addresses and networks that are given, as configuration has checked them. */
export function proxiesOf(trusted: readonly string[]): BlockList {
  const proxies = new BlockList();
  for (const text of ['127.0.0.0/8', '::1', ...trusted]) {
    const [address = '', prefix] = text.split('/');
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (prefix === undefined) proxies.addAddress(address, family);
    else proxies.addSubnet(address, Number(prefix), family);
  }
  return proxies;
}

const mapped = /^::ffff:(?=\d+\.)/i;

function normalized(text: string): string | null {
  const address = text.replace(mapped, '').replace(/%.*$/, '');
  if (isIPv4(address)) return address;
  return isIPv6(address) ? first64Bits(address) : null;
}

function first64Bits(address: string): string {
  const [before = '', after] = address.split('::');
  const groups = before === '' ? [] : before.split(':');
  // `::` stands for as many zeros as are missing; a dotted end stands for two groups.
  const last = after === undefined || after === '' ? [] : after.split(':');
  const lastCount = last.length + (isIP(last.at(-1) ?? '') === 4 ? 1 : 0);
  const zeros = after === undefined ? 0 : Math.max(0, 8 - groups.length - lastCount);
  return [...groups, ...Array.from({ length: zeros }, () => '0'), ...last]
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':');
}

/** Token buckets by name; the least recently used ones are forgotten. */
class Buckets {
  readonly #clock: Clock;
  readonly #rate: Rate;
  readonly #remembered: number;
  readonly #buckets = new Map<string, { readonly tokens: number; readonly at: number }>();

  constructor(clock: Clock, rate: Rate, remembered: number) {
    this.#clock = clock;
    this.#rate = rate;
    this.#remembered = remembered;
  }

  take(name: string): number {
    const { burst, perSecond } = this.#rate;
    const now = this.#clock.monotonicMs();
    const bucket = this.#buckets.get(name);
    const tokens = bucket ? Math.min(burst, bucket.tokens + ((now - bucket.at) * perSecond) / 1_000) : burst;
    const waitMs = tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * 1_000) / perSecond);
    this.#buckets.delete(name);
    this.#buckets.set(name, { tokens: waitMs === 0 ? tokens - 1 : tokens, at: now });
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size > this.#remembered && oldest !== undefined) this.#buckets.delete(oldest);
    return waitMs;
  }
}
