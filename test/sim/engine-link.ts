import { EngineError } from '#shared/faults.ts';
import type { BoxRuntime, RuntimeEvent } from '../../controller/src/runtime/port.ts';
import { Link, orAborted, type Weather } from './link.ts';
import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimProcess } from './sim-process.ts';

const callTimeoutMs = 10_000;
const reconnectMs = 1_000;
const latestMs = 15_000;

/** What the engine itself needs, ms: of the order that a real one was measured at. */
const tookMs = {
  list: 10,
  observe: 2,
  countExecs: 2,
  stats: 5,
  homeUse: 80,
  image: 1,
  create: 15,
  start: 220,
  unpause: 20,
  rename: 10,
  probe: 50,
  runTool: 50,
  writeVault: 80,
  stop: 10,
  remove: 30,
  pull: 3_000,
  ensureHome: 320,
  ensureNetwork: 3,
  removeLeftHelpers: 3,
  sessionMarks: 80,
  endSession: 200,
} as const;

/** One process's way to the simulated engine: the port again, with time, faults, and an event stream that breaks. */
export function createEngineLink(options: {
  runtime: BoxRuntime;
  scheduler: Scheduler;
  process: SimProcess;
  random: Random;
  weather: Weather;
  /** share of events that are lost, doubled or late */
  disorder: () => number;
  /** a reason while the event stream cannot stand; it breaks when it becomes one */
  streams: EventStreams;
}): BoxRuntime {
  const { runtime, scheduler, process, random, weather } = options;
  const lostError = (operation: string): EngineError =>
    new EngineError({ kind: 'timeout', operation, status: null, message: 'no answer from the engine' });
  const link = new Link({ scheduler, process, random, weather, lostError, giveUpMs: callTimeoutMs });
  const never = new AbortController().signal;

  function call<Value>(
    operation: keyof typeof tookMs,
    effect: () => Promise<Value>,
    signal: AbortSignal,
  ): Promise<Value> {
    return orAborted(link.call(operation, tookMs[operation], effect), signal);
  }

  return {
    list: (signal) => call('list', () => runtime.list(never), signal),
    observe: (user, how, signal) => call('observe', () => runtime.observe(user, how, never), signal),
    stats: (id, signal) => call('stats', () => runtime.stats(id, never), signal),
    homeUse: (id, target, signal) => call('homeUse', () => runtime.homeUse(id, target, never), signal),
    countExecs: (id, signal) => call('countExecs', () => runtime.countExecs(id, never), signal),
    image: (reference, signal) => call('image', () => runtime.image(reference, never), signal),
    forgetImages: () => runtime.forgetImages(),
    home: (user) => runtime.home(user),
    create: (box, signal) => call('create', () => runtime.create(box, never), signal),
    start: (id, signal) => call('start', () => runtime.start(id, never), signal),
    unpause: (id, signal) => call('unpause', () => runtime.unpause(id, never), signal),
    rename: (id, name, signal) => call('rename', () => runtime.rename(id, name, never), signal),
    probe: (id, readiness, signal) => call('probe', () => runtime.probe(id, readiness, never), signal),
    runTool: (id, tool, signal) => call('runTool', () => runtime.runTool(id, tool, never), signal),
    writeVault: (id, vault, signal) => call('writeVault', () => runtime.writeVault(id, vault, never), signal),
    stop: (id, graceMs, signal) => call('stop', () => runtime.stop(id, graceMs, never), signal),
    remove: (id, signal) => call('remove', () => runtime.remove(id, never), signal),
    pull: (reference, onProgress, signal) => {
      const tell: typeof onProgress = (progress) => process.enter(() => onProgress(progress));
      return call('pull', () => runtime.pull(reference, tell, never), signal);
    },
    ensureHome: (user, owner, signal) => call('ensureHome', () => runtime.ensureHome(user, owner, never), signal),
    ensureNetwork: (signal) => call('ensureNetwork', () => runtime.ensureNetwork(never), signal),
    removeLeftHelpers: (signal) => call('removeLeftHelpers', () => runtime.removeLeftHelpers(never), signal),
    sessionMarks: (id, signal) => call('sessionMarks', () => runtime.sessionMarks(id, never), signal),
    endSession: (id, session, signal) => call('endSession', () => runtime.endSession(id, session, never), signal),
    follow: (on, signal) => followLossy(options, on, signal),
  };
}

/** Breaks every event stream at once, as a restart of the engine does. */
export class EventStreams {
  private readonly broken = new Set<() => void>();
  isDown: () => boolean = () => false;

  breakAll(): void {
    for (const stop of [...this.broken]) stop();
  }

  onBreak(run: () => void): () => void {
    this.broken.add(run);
    return () => this.broken.delete(run);
  }
}

async function followLossy(
  options: Parameters<typeof createEngineLink>[0],
  on: { event: (event: RuntimeEvent) => void; gap: () => void; down: (reason: string) => void },
  signal: AbortSignal,
): Promise<void> {
  const { runtime, scheduler, process, random, streams } = options;
  const deliver = (event: RuntimeEvent): void => {
    const times = random.chance(options.disorder()) ? random.pick([0, 0, 2]) : 1;
    for (let time = 0; time < times; time += 1) {
      // Most that come late come after what followed them; some when nobody expects them any more.
      const lateMs = random.chance(options.disorder()) ? random.next() ** 4 * latestMs : random.next() * 5;
      scheduler.after(lateMs, () => process.enter(() => !signal.aborted && on.event(event)));
    }
  };
  for (;;) {
    signal.throwIfAborted();
    if (!streams.isDown()) {
      const stream = new AbortController();
      const off = streams.onBreak(() => stream.abort(new Error('the stream broke')));
      const both = AbortSignal.any([signal, stream.signal]);
      const gap = (): void => process.enter(() => !both.aborted && on.gap());
      await runtime.follow({ event: deliver, gap, down: () => {} }, both).catch(() => {});
      off();
      signal.throwIfAborted();
    }
    process.enter(() => !signal.aborted && on.down('the event stream broke'));
    await orAborted(new Promise<void>((resolve) => process.clock.after(reconnectMs, resolve)), signal);
  }
}
