import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { beforeEach, describe, expect, test } from 'vitest';
import { addressOf, ConnectRate, type ConnectRateLimits, proxiesOf } from '../../gateway/src/connect-rate.ts';
import { FakeClock } from '../support/fake-clock.ts';

const rates: ConnectRateLimits = {
  user: { burst: 20, perSecond: 2 },
  address: { burst: 60, perSecond: 20 },
  remembered: 100,
};

let clock: FakeClock;
let rate: ConnectRate;
beforeEach(() => {
  clock = new FakeClock();
  rate = new ConnectRate(clock, rates, proxiesOf([]));
});

function times(count: number, take: () => number): number[] {
  return Array.from({ length: count }, take);
}

describe('the rate of connects', () => {
  test('a burst goes through, then as many as the rate, and a refusal says how long to wait', async () => {
    expect(times(20, () => rate.takeUser('alice'))).toEqual(Array(20).fill(0));
    expect(rate.takeUser('alice')).toBe(500);
    await clock.advance(200);
    expect(rate.takeUser('alice')).toBe(300);
    await clock.advance(300);
    expect(times(2, () => rate.takeUser('alice'))).toEqual([0, 500]);
  });

  test('who is refused loses nothing by it: who waits as long as told gets in', async () => {
    times(20, () => rate.takeUser('alice'));
    for (let round = 0; round < 50; round += 1) {
      const waitMs = rate.takeUser('alice');
      times(10, () => rate.takeUser('alice'));
      await clock.advance(waitMs);
      expect(rate.takeUser('alice')).toBe(0);
    }
  });

  test('users and addresses do not count for each other', () => {
    times(25, () => rate.takeUser('alice'));
    expect(rate.takeUser('bob')).toBe(0);
    expect(times(60, () => rate.takeAddress('10.0.0.1'))).toEqual(Array(60).fill(0));
    expect(rate.takeAddress('10.0.0.1')).toBe(50);
    expect(rate.takeAddress('10.0.0.2')).toBe(0);
    expect(times(200, () => rate.takeAddress(null))).toEqual(Array(200).fill(0));
  });

  test('a full bucket is no more than a full bucket', async () => {
    rate.takeUser('alice');
    await clock.advance(3_600_000);
    expect(times(21, () => rate.takeUser('alice')).filter((waitMs) => waitMs === 0)).toHaveLength(20);
  });

  test('memory is bounded: who was not seen for longest is forgotten first', () => {
    rate = new ConnectRate(clock, { ...rates, remembered: 3, user: { burst: 1, perSecond: 1 } }, proxiesOf([]));
    for (const user of ['a', 'b', 'c']) expect(rate.takeUser(user)).toBe(0);
    expect(rate.takeUser('a')).toBe(1_000);
    expect(rate.takeUser('d')).toBe(0);
    expect(['a', 'c', 'd'].map((user) => rate.takeUser(user))).toEqual([1_000, 1_000, 1_000]);
    expect(rate.takeUser('b')).toBe(0);
  });
});

describe('the address of a connect', () => {
  function request(peer: string, forwarded?: string): IncomingMessage {
    const socket = new Socket();
    Object.defineProperty(socket, 'remoteAddress', { value: peer });
    const message = new IncomingMessage(socket);
    if (forwarded !== undefined) message.headers['x-forwarded-for'] = forwarded;
    return message;
  }

  test.each([
    ['the peer', '10.1.2.3', undefined, '10.1.2.3'],
    ['an IPv4 peer on an IPv6 socket', '::ffff:10.1.2.3', undefined, '10.1.2.3'],
    ['what a stranger says of itself is not believed', '10.1.2.3', '10.9.9.9', '10.1.2.3'],
    ['the last entry of a proxy on this machine', '127.0.0.1', '6.6.6.6, 10.9.9.9', '10.9.9.9'],
    ['the same by IPv6', '::1', '10.9.9.9', '10.9.9.9'],
    ['the same by IPv4 on an IPv6 socket', '::ffff:127.0.0.1', '10.9.9.9', '10.9.9.9'],
    ['the last entry of a proxy that is trusted', '172.18.0.5', '6.6.6.6, 10.9.9.9', '10.9.9.9'],
    ['the same by IPv4 on an IPv6 socket', '::ffff:172.18.0.5', '10.9.9.9', '10.9.9.9'],
    ['the same by IPv6', 'fd00::7', '10.9.9.9', '10.9.9.9'],
    ['a process of this machine', '127.0.0.1', undefined, null],
    ['a proxy that tells nonsense', '127.0.0.1', 'unknown', null],
    ['a peer that has gone', '', undefined, null],
    ['the network of an IPv6 address', '2001:db8:0:7:1:2:3:4', undefined, '2001:db8:0:7'],
    ['another address of that network', '2001:0db8::7:ffff:2:3:4', undefined, '2001:db8:0:7'],
    ['a short one', '2001:db8::1', undefined, '2001:db8:0:0'],
    ['one with a zone', 'fe80::1%eth0', undefined, 'fe80:0:0:0'],
  ])('%s', (_what, peer, forwarded, address) => {
    expect(addressOf(request(peer, forwarded), proxiesOf(['172.16.0.0/12', 'fd00::7']))).toBe(address);
  });
});
