import { setTimeout as wait } from 'node:timers/promises';
import { label } from '#shared/identity.ts';
import type { Random } from '../sim/random.ts';
import type { RunningProcess } from '../support/process.ts';
import type { ChaosInstallation, Slot } from './installation.ts';

export const breakings = [
  'kill-controller',
  'kill-gateway',
  'stall-controller',
  'stall-gateway',
  'stall-redis',
  'kill-redis',
  'restart-engine',
  'restart-engine-live',
  'kill-box',
  'remove-box',
] as const;
export type Breaking = (typeof breakings)[number];

/** Breaks one thing and puts it right again; resolves when it stands. */
export async function breakOne(installation: ChaosInstallation, random: Random, kind: Breaking): Promise<void> {
  const { engine, world, docker } = installation;
  const pauseMs = random.int(200, 6_000);
  switch (kind) {
    case 'kill-controller': {
      const slot = random.pick(installation.controllers);
      await slot.running?.kill();
      slot.running = null;
      await wait(pauseMs);
      await installation.startController(slot);
      return;
    }
    case 'kill-gateway': {
      const slot = random.pick(installation.gateways);
      await slot.running?.kill();
      slot.running = null;
      await wait(pauseMs);
      await installation.startGateway(slot);
      return;
    }
    case 'stall-controller':
      await stall(random.pick(installation.controllers), pauseMs);
      return;
    case 'stall-gateway':
      await stall(random.pick(installation.gateways), pauseMs);
      return;
    case 'stall-redis':
      await world.redis.stop();
      await wait(pauseMs);
      await world.redis.restart();
      return;
    case 'kill-redis':
      await world.redis.kill();
      await wait(pauseMs / 4);
      await world.redis.restart();
      return;
    case 'restart-engine':
      await engine.stop();
      await wait(pauseMs / 4);
      await engine.start();
      return;
    case 'restart-engine-live':
      await engine.kill();
      await wait(pauseMs / 4);
      await engine.start({ liveRestore: true });
      return;
    case 'kill-box':
    case 'remove-box': {
      const boxes = await docker.listContainers({ filters: { label: [`${label.role}=box`] } });
      if (boxes.length === 0) return;
      const box = docker.getContainer(random.pick(boxes).Id);
      // It may have gone by itself meanwhile.
      await (kind === 'kill-box' ? box.kill() : box.remove({ force: true })).catch(() => {});
    }
  }
}

/** The process stands still, and wakes as if nothing had been. */
async function stall(slot: Slot<RunningProcess>, forMs: number): Promise<void> {
  slot.running?.signal('SIGSTOP');
  slot.stopped = true;
  await wait(forMs);
  slot.running?.signal('SIGCONT');
  slot.stopped = false;
}
