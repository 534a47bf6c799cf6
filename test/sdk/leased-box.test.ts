import { expect, test } from 'vitest';
import { BoxView } from '#shared/api-schemas.ts';
import { Lease } from '#shared/lease.ts';
import { problemOf } from '#shared/problem.ts';
import type { WatchEvent } from '../../controller/sdk/api-client.ts';
import {
  ApiRefusal,
  CommandLost,
  LeaseLost,
  NotReady,
  SpoonboxError,
  Unreachable,
} from '../../controller/sdk/errors.ts';
import type { ExecOptions } from '../../controller/sdk/exec.ts';
import { HeldLease } from '../../controller/sdk/held-lease.ts';
import { type BoxProgress, LeasedBox } from '../../controller/sdk/leased-box.ts';
import { FakeClock, settled } from '../support/fake-clock.ts';
import { type FakeLeases, fakeLeases } from './fake-leases.ts';

/** What a leased box makes of a watch and of the end of its lease, on a clock that is turned by hand. */

interface World {
  readonly clock: FakeClock;
  readonly server: FakeLeases;
  readonly box: LeasedBox;
  /** what the next watches tell before they break; after the last one the server is silent */
  readonly watches: (readonly Partial<BoxView>[] | Error)[];
  /** the signal of the command that runs */
  readonly running: () => AbortSignal;
  /** the lease that each command named */
  readonly named: readonly (string | undefined)[];
}

async function leased(hasCheckout = false, answers: Error[] = []): Promise<World> {
  const clock = new FakeClock();
  const server = fakeLeases(clock);
  const random = (): number => 0;
  const of = { user: 'alice', id: 'job-1', holder: 'agent-7', hasCheckout };
  const body = { kind: 'job', holder: of.holder, ttlMs: 60_000 } as const;
  const lease = await HeldLease.take({ api: server.api, clock, random }, { ...of, body }, new AbortController().signal);
  const watches: World['watches'] = [];
  const named: (string | undefined)[] = [];
  let running: AbortSignal | undefined;

  async function* watch(_user: string | null, _from: string | null, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    const next = watches.shift();
    if (next instanceof Error) throw next;
    for (const fields of next ?? [])
      yield { type: 'box', id: '', box: BoxView.parse({ ...lease.taken.box, ...fields }) };
    if (watches.length === 0) await aborted(signal);
  }
  async function exec(_user: string, _command: readonly string[], options: ExecOptions): Promise<never> {
    running = options.signal;
    named.push(options.lease);
    const answer = answers.shift();
    if (answer) throw answer;
    return await aborted(options.signal);
  }
  const box = new LeasedBox({ api: { watch }, clock, random, exec }, lease, of);
  return { clock, server, box, watches, named, running: () => running ?? AbortSignal.abort(new Error('nothing runs')) };
}

async function aborted(signal: AbortSignal | undefined): Promise<never> {
  return await new Promise<never>((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason));
  });
}

const mine = [Lease.parse({ id: 'job-1', kind: 'job', holder: 'agent-7', takenAt: 0, expiresAt: 1, ttlMs: 60_000 })];
const pulling = { phase: 'provisioning', step: 'pulling', message: 'the image is pulled', leases: mine } as const;

test('ready tells each change once, goes on over watches that break, and ends with the box', async () => {
  const { clock, box, watches } = await leased();
  watches.push([pulling, pulling], new Unreachable('restarted'), [
    pulling,
    { ready: true, message: 'ready', leases: mine },
  ]);
  const told: BoxProgress[] = [];
  const ready = box.ready({ onProgress: (progress) => told.push(progress) });
  await settled();
  await clock.advance(5_000);
  expect((await ready).message).toBe('ready');
  expect(told.map(({ message }) => message)).toEqual(['the image is pulled']);
  await box.release();
  expect(clock.pending).toBe(0);
});

test('a box that is not ready in time is told with what it waits for, and is still held', async () => {
  const { clock, server, box, watches } = await leased();
  watches.push([pulling]);
  const ready = box.ready({ timeoutMs: 30_000 });
  const refused = expect(ready).rejects.toThrow(NotReady);
  await settled();
  await clock.advance(30_000);
  await refused;
  await expect(ready).rejects.toThrow('is not ready after 30 s: the image is pulled');
  expect([server.live.size, box.lost.aborted]).toEqual([1, false]);
  await box.release();
  expect(clock.pending).toBe(0);
});

test('a watch that shows no such lease has it looked at, at once', async () => {
  const { clock, server, box, watches } = await leased();
  server.answer = 'lease-ended';
  watches.push([{ ...pulling, leases: [] }]);
  await expect(box.ready()).rejects.toThrow(LeaseLost);
  expect([server.asked, clock.pending]).toEqual([['take 0', 'renew 0'], 0]);
});

test('a command ends with a lease that somebody ended, and goes on over one that nobody could renew', async () => {
  const ended = await leased();
  const lost = expect(ended.box.exec(['make'])).rejects.toThrow(LeaseLost);
  ended.server.answer = 'lease-ended';
  await ended.clock.advance(20_000);
  await lost;

  const { clock, server, box, running } = await leased();
  const command = expect(box.exec(['make'])).rejects.toThrow('was given back');
  server.answer = 'unreachable';
  await clock.advance(61_000);
  expect([box.lost.aborted, running().aborted]).toEqual([true, false]);
  await expect(box.exec(['make'])).rejects.toThrow(LeaseLost);
  server.answer = 'as it is';
  await box.release();
  await command;
});

test('a command names the lease that has a checkout, which is taken again where Redis lost it', async () => {
  const unknown = new ApiRefusal(problemOf('lease-unknown', 'no live lease job-1'));
  const { server, box, named } = await leased(true, [unknown, new CommandLost('done', 'Reaped')]);
  server.live.clear();
  await expect(box.exec(['make'])).rejects.toThrow('done');
  expect(named).toEqual(['job-1', 'job-1']);
  expect([...server.live]).toEqual(['job-1']);
  await box.release();

  const still = await leased(true, [unknown, unknown]);
  await expect(still.box.exec(['make'])).rejects.toThrow('no live lease job-1');
  expect(still.named).toHaveLength(2);
  await still.box.release();

  const without = await leased(false, [new CommandLost('done', 'Reaped')]);
  await expect(without.box.exec(['make'])).rejects.toThrow('done');
  expect(without.named).toEqual([undefined]);
  await without.box.release();
});

test('after the release every call says so', async () => {
  const { box } = await leased();
  await box.release();
  await expect(box.ready()).rejects.toThrow(SpoonboxError);
  await expect(box.exec(['make'])).rejects.toThrow('lease job-1 on the box of alice was given back');
  expect(box.lost.aborted).toBe(false);
});
