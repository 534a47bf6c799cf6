import { networkNameOf } from '#shared/identity.ts';
import { everybody, type Injector, odd, shared, type Strike, type Struck, turned, vanish } from './strike.ts';
import type { World } from './world.ts';

/** What happens to the engine, on the way to it, and to what it tells of itself. */
export const onEngine = {
  'engine-flaky': (strike) =>
    turned(strike, 'engineLoss', 0.05 + strike.fault.how * 0.5, `calls to the engine get lost ${strike.forS}`),
  'engine-errors': (strike) =>
    turned(strike, 'engineErrors', 0.1 + strike.fault.how * 0.6, `the engine answers with errors ${strike.forS}`),
  'engine-slow': (strike) =>
    shared(strike, 'engineSlowMs', 500 + strike.fault.how * 8_000, 0, `the engine is slow ${strike.forS}`),
  'creates-conflict': (strike) =>
    odd(strike, 'createsConflict', `a creation of every box is in progress elsewhere ${strike.forS}`),
  'engine-restart': (strike) =>
    away(strike, () => endAll(strike.world), 'the engine restarts, and every container ends'),
  'engine-restart-surviving': (strike) => away(strike, () => {}, 'the engine restarts, and its containers live on'),
  'engine-lost-all': (strike) =>
    away(strike, () => loseAll(strike.world), 'the engine comes back without any container or network'),
  'wake-ups-lost': (strike) => shared(strike, 'wakeUpLoss', strike.fault.how, 0, `wake-ups get lost ${strike.forS}`),
  'events-lost': (strike) =>
    shared(strike, 'eventLoss', strike.fault.how, 0, `engine events get lost, doubled and late ${strike.forS}`),
  'streams-break': ({ world }) => {
    world.streams.breakAll();
    return everybody('the event streams break');
  },
  'starts-die': (strike) => odd(strike, 'startsDie', `every container ends as soon as it is started ${strike.forS}`),
  'probes-fail': (strike) => odd(strike, 'probesFail', `no box passes its probe ${strike.forS}`),
} satisfies Record<string, Injector>;

function away({ world, fault }: Strike, change: () => void, told: string): Struck {
  world.shared.engineDown = true;
  world.streams.breakAll();
  change();
  world.scheduler.after(fault.how * 10_000, () => {
    world.shared.engineDown = false;
  });
  return everybody(told);
}

function endAll(world: World): void {
  for (const container of world.runtime.engine.containers.values()) world.runtime.engine.kill(container);
}

function loseAll(world: World): void {
  const { engine } = world.runtime;
  for (const container of [...engine.containers.values()]) vanish(world, container);
  engine.networks.delete(networkNameOf(world.installation));
}
