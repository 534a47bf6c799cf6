import { z } from 'zod';
import type { ControllerProcess } from '../../support/controller-process.ts';

/** Takes leases through the API, a few at a time, and waits until their boxes are ready. */
export async function startBoxes(
  controller: ControllerProcess,
  users: readonly string[],
  onReady: (ready: number) => void,
  signal: AbortSignal,
): Promise<void> {
  let ready = 0;
  for (let first = 0; first < users.length; first += atOnce) {
    signal.throwIfAborted();
    await Promise.all(users.slice(first, first + atOnce).map((user) => startBox(controller, user)));
    ready = Math.min(users.length, first + atOnce);
    onReady(ready);
  }
}

export async function startBox(controller: ControllerProcess, user: string): Promise<void> {
  const body = { kind: 'job', holder: 'bench', ttlMs: 300_000 };
  const { status, json } = await controller.ask('PUT', `${leasePath(user)}?waitMs=${waitMs}`, body);
  if (Ready.safeParse(json).success) return;
  throw new Error(`the lease of ${user} was answered with ${status}: ${JSON.stringify(json)}`);
}

export async function releaseBox(controller: ControllerProcess, user: string): Promise<void> {
  const { status, json } = await controller.ask('DELETE', leasePath(user));
  if (status !== 200) throw new Error(`the release of ${user} was answered with ${status}: ${JSON.stringify(json)}`);
}

const atOnce = 8;
const waitMs = 120_000;
const Ready = z.object({ ready: z.literal(true) });

function leasePath(user: string): string {
  return `/v1/boxes/${user}/leases/bench`;
}
