import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { TerminalTokenReply } from '#shared/api-schemas.ts';
import { connect } from '../gateway/test-client.ts';
import type { Random } from '../sim/random.ts';
import { apiToken } from '../support/controller-process.ts';
import type { ChaosInstallation } from './installation.ts';
import type { History } from './history.ts';

const ttlMs = 15_000;
const renewEveryMs = 3_000;
const askWithinMs = 5_000;

/** Asks any controller that answers; null = none did. A refusal is an answer. */
export async function askAny(
  installation: ChaosInstallation,
  random: Random,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: unknown } | null> {
  const slot = random.pick(installation.controllers);
  if (slot.running === null || slot.stopped) return null;
  try {
    const response = await fetch(slot.running.url + path, {
      method,
      headers: { authorization: `Bearer ${apiToken}`, 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(askWithinMs),
    });
    const text = await response.text();
    return { status: response.status, json: text === '' ? null : JSON.parse(text) };
  } catch {
    return null;
  }
}

/** An agent's job: holds the box for a while, renews, takes again what was lost, gives back. */
export async function job(
  installation: ChaosInstallation,
  history: History,
  random: Random,
  user: string,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const path = `/v1/boxes/${user}/leases/${name}`;
  const endsAt = performance.now() + random.int(10_000, 60_000);
  let taken = false;
  while (!signal.aborted && performance.now() < endsAt) {
    const askedMs = performance.now();
    const answer = taken
      ? await askAny(installation, random, 'POST', `${path}/renew`, { ttlMs })
      : await askAny(installation, random, 'PUT', path, { kind: 'job', holder: name, ttlMs });
    if (answer !== null && answer.status < 300) {
      taken = true;
      history.acknowledged(user, name, askedMs, ttlMs);
    } else if (answer !== null && (answer.status === 404 || answer.status === 410)) {
      taken = false;
      history.over(user, name);
    }
    await wait(renewEveryMs, null, { signal }).catch(() => {});
  }
  // Before it is given back: from now on nobody counts on it.
  history.over(user, name);
  for (let attempt = 0; attempt < 10; attempt += 1) {
    const answer = await askAny(installation, random, 'DELETE', path);
    if (answer !== null && answer.status < 500) return;
    await wait(1_000);
  }
}

/** A person's terminal: opens, types, reads back what it typed, and goes. */
export async function terminal(
  installation: ChaosInstallation,
  history: History,
  random: Random,
  user: string,
): Promise<void> {
  const answer = await askAny(installation, random, 'POST', `/v1/boxes/${user}/terminal-tokens`, {});
  const token = TerminalTokenReply.safeParse(answer?.json);
  const gateway = random.pick(installation.gateways);
  if (!token.success || gateway.running === null || gateway.stopped) return;
  const client = await connect({ port: gateway.port, token: token.data.token }).catch(() => null);
  if (client === null || 'status' in client) return;
  try {
    const mark = `m${random.int(1, 1_000_000_000)}`;
    await client.message('hello');
    client.type(`echo ${mark} >> ~/marks; tail -n 1 ~/marks\n`);
    await client.sees(new RegExp(`\\n${mark}\\r`));
    history.checked('a terminal reads back what it wrote into the home');
    await wait(random.int(500, 8_000));
  } catch {
    // The terminal was cut: that is what this run does to terminals.
  } finally {
    client.socket.close(1000);
  }
}

const Boxes = z.object({ items: z.array(z.object({ user: z.string(), phase: z.string(), ready: z.boolean() })) });

/** The boxes as the API shows them; null = nobody answered. */
export async function boxesOf(installation: ChaosInstallation, random: Random) {
  const answer = await askAny(installation, random, 'GET', '/v1/boxes');
  const parsed = Boxes.safeParse(answer?.json);
  return parsed.success ? parsed.data.items : null;
}
