import { execFile } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { label } from '#shared/identity.ts';
import { ask } from './asking.ts';
import type { World } from './breaking.ts';
import type { TerminalHistory } from './terminal-history.ts';

const run = promisify(execFile);
const lookEveryMs = 250;
/**
 * What a gateway that was killed left is swept: one to three minutes after it died where Redis has its records; where it lost
 * them, when the box is looked into, every ten minutes, and once more. Longer than any lease lives without its holder.
 */
const sweptWithinMs = 15 * 60_000;
const boxesEndWithinMs = 120_000;
const engineQuietWithinMs = 30_000;
/** What an engine without containers runs in its namespaces, with their first process and this look itself. */
const ofTheEngine = /^(sh -c|cat|dockerd|containerd|\/usr\/bin\/containerd|\/usr\/sbin\/dockerd|tr|grep)\b/;
/**
 * Runs nothing of anybody's: it waits to become the first process of a container. An engine that is killed just then leaves
 * it, forgets the container, and removes it never; seen on 20.10 without anything of ours.
 */
const ofAKilledEngine = /^runc init\b/;

const Records = z.object({
  items: z.array(
    z.object({ user: z.string(), leases: z.array(z.unknown()), sessions: z.array(z.object({ id: z.string() })) }),
  ),
});

/** Everybody has closed their terminals: what is left of them in the boxes that still stand? */
export async function checkShells(world: World, terminals: TerminalHistory): Promise<void> {
  const { history, engine } = world;
  const giveUpAt = Date.now() + sweptWithinMs;
  for (;;) {
    const processes = await engine.processes();
    const sessions = new Set(
      processes.flatMap(({ marks }) =>
        marks.flatMap((mark) => (mark.startsWith('SPOONBOX_SESSION=') ? [mark.slice('SPOONBOX_SESSION='.length)] : [])),
      ),
    );
    if (sessions.size === 0) {
      history.checked('no shell outlives its terminal (terminals)', terminals.terminals.size);
      return;
    }
    if (Date.now() > giveUpAt) {
      for (const session of sessions) {
        const terminal = terminals.terminals.get(session);
        history.violated(`7: processes of session ${session} (${terminal?.user} at ${terminal?.gateway}) outlived it`);
      }
      return;
    }
    await wait(lookEveryMs);
  }
}

/** Leases, and records of sessions, also of gateways that were killed. */
export async function checkRecords(world: World): Promise<void> {
  const { history, controllers } = world;
  const giveUpAt = Date.now() + sweptWithinMs;
  for (;;) {
    const answer = await ask(controllers[0]?.url ?? '', 'GET', '/v1/boxes');
    const parsed = Records.safeParse(answer?.json);
    const items = parsed.success ? parsed.data.items : null;
    const left = items?.flatMap(({ sessions }) => sessions.map(({ id }) => id)) ?? [];
    const held = items?.filter(({ leases }) => leases.length > 0) ?? [];
    if (items !== null && left.length === 0 && held.length === 0) {
      history.checked('no lease and no record of a session is left over');
      return;
    }
    if (Date.now() > giveUpAt) {
      history.violated(`7: leases or sessions are left over: ${JSON.stringify({ held, left })}`);
      return;
    }
    await wait(lookEveryMs);
  }
}

/** Nobody needs anything any more, and everybody is deleted: the engine is empty, and nobody is known. */
export async function checkAllGo(world: World, users: readonly string[]): Promise<void> {
  const { docker, history, corner, controllers } = world;
  const controller = controllers[0]?.url ?? '';
  for (const user of users) await ask(controller, 'DELETE', `/v1/boxes/${user}`);
  const giveUpAt = Date.now() + boxesEndWithinMs;
  for (;;) {
    const left = await docker.listContainers({ all: true });
    const answer = await ask(controller, 'GET', '/v1/boxes');
    const known = Records.safeParse(answer?.json).data?.items.length;
    if (left.length === 0 && known === 0) break;
    if (Date.now() > giveUpAt) {
      const names = left.map(({ Names }) => Names[0]).join(', ');
      history.violated(`7: ${left.length} containers are left over (${names}), and ${known} users are known`);
      return;
    }
    await wait(lookEveryMs);
  }
  history.checked('no container and no user is left over');
  const networks = await docker.listNetworks();
  const others = networks.filter(({ Name }) => !['bridge', 'host', 'none'].includes(Name));
  const mine = others.filter(({ Labels }) => Labels?.[label.installation] === corner.installation);
  if (others.length !== mine.length || mine.length > 1) {
    history.violated(`7: networks are left over: ${others.map(({ Name }) => Name).join(', ')}`);
  } else history.checked('no network is left over');
}

/** Controllers and gateways have ended: nobody is connected to the engine or to Redis, and the engine runs nothing. */
export async function checkNothingRuns(world: World): Promise<void> {
  const { history, engine, redis } = world;
  const giveUpAt = Date.now() + engineQuietWithinMs;
  for (;;) {
    const running = (await engine.processes()).map(({ command }) => command);
    const forgotten = engineWasKilled(history) ? running.filter((command) => ofAKilledEngine.test(command)) : [];
    const left = running.filter((command) => !ofTheEngine.test(command) && !forgotten.includes(command));
    const { stdout } = await run('ss', ['-Htn', 'state', 'established', `( sport = :2375 or sport = :${redis.port} )`]);
    const sockets = stdout.split('\n').filter((line) => line.includes('127.77.'));
    if (left.length === 0 && sockets.length === 0) {
      history.checked('no process and no connection is left over');
      if (forgotten.length > 0) history.noted('starts that a killed engine forgot (runc init)', forgotten.length);
      return;
    }
    if (Date.now() > giveUpAt) {
      if (left.length > 0) history.violated(`7: the engine still runs ${left.slice(0, 5).join(' | ')}`);
      if (sockets.length > 0) history.violated(`7: connections are left over: ${sockets.slice(0, 5).join(' | ')}`);
      return;
    }
    await wait(lookEveryMs);
  }
}

function engineWasKilled({ faults }: World['history']): boolean {
  return faults.some(({ kind }) => kind.startsWith('kill engine'));
}
