import { z } from 'zod';
import { Session } from '#shared/lease.ts';
import type { SimSocket } from './sim-socket.ts';
import type { Member, World } from './world.ts';

/** A socket of somebody who holds it open from now on. */
export interface OpenTerminal {
  readonly who: string;
  readonly socket: SimSocket;
}

/** What is missing while everybody wants a box and no fault is left: each is a breach of its promise, once time is up. */
export function checkReady(world: World, terminals: readonly OpenTerminal[]): string[] {
  const missing: string[] = [];
  for (const user of world.users) {
    const box = world.boxOf(user);
    const status = world.redis.hash(world.keys.user(user).status);
    const ours = world.runtime.engine.labelled(user).filter((container) => container.blueprint.installation !== '');
    if (box?.state !== 'running' || status.get('phase') !== 'ready' || status.get('containerId') !== box.id) {
      const phase = `${status.get('phase') ?? 'no status'}, container ${box?.state ?? 'missing'}`;
      missing.push(
        `5: ${user} wants a box, faults have stopped, and there is none: ${phase}, ${messageOf(status.get('body'))}`,
      );
    } else if (ours.length !== 1) {
      missing.push(`1: ${user} has ${ours.length} containers after everything settled`);
    }
  }
  for (const { who, socket } of terminals) {
    if (socket.closed !== null) missing.push(`5: the terminal of ${who} was closed: ${socket.closed.reason}`);
    else if (!socket.messages.some((message) => message.includes('"hello"'))) {
      missing.push(`5: ${who} waits for a shell, and was told last: ${socket.messages.at(-1)}`);
    }
  }
  return missing;
}

/** What the status tells people. */
function messageOf(body: string | undefined): string {
  return z
    .object({ message: z.string() })
    .catch({ message: 'nothing readable' })
    .parse(JSON.parse(body ?? '{}')).message;
}

const GatewayEntry = z.object({ expiresAt: z.number() });

/** What is left over after everybody went home. */
export function checkGone(world: World): string[] {
  const { redis, keys, runtime, users } = world;
  const left: string[] = [];
  for (const container of runtime.engine.containers.values()) {
    left.push(`7: the container ${container.name} (${container.state}) is left over`);
  }
  for (const shell of world.shells.running()) left.push(`7: a shell of ${shell.session} still runs`);
  const living = new Set(world.gateways.map((member) => member.process.name));
  for (const user of users) {
    for (const lease of redis.hash(keys.user(user).leases).values()) {
      if (!lease.includes('"endedAt"')) left.push(`7: a lease of ${user} is left over: ${lease}`);
    }
    for (const record of redis.hash(keys.user(user).sessions).values()) {
      const { id, gateway } = Session.parse(JSON.parse(record));
      left.push(`7: the record of session ${id} of ${gateway} is left over`);
    }
  }
  for (const [gateway, entry] of redis.hash(keys.gateways)) {
    const { expiresAt } = GatewayEntry.parse(JSON.parse(entry));
    const diesAt = redis.now() + world.watcher.clockWentBackMs;
    if (!living.has(gateway) && expiresAt > diesAt) left.push(`7: ${gateway} is dead, and its lease is live`);
  }
  return left;
}

/** What a process that stopped in order has left behind in itself. */
export function checkStopped({ process, redis }: Member): string[] {
  const timers = process.pendingTimers();
  const listeners = redis.listening();
  return [
    ...(timers > 0 ? [`7: ${process.name} has stopped, and ${timers} of its timers are pending`] : []),
    ...(listeners > 0 ? [`7: ${process.name} has stopped, and still listens ${listeners} times`] : []),
  ];
}
