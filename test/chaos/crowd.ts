import { setTimeout as wait } from 'node:timers/promises';
import { TerminalTokenReply } from '#shared/api-schemas.ts';
import { Random } from '../sim/random.ts';
import { ask } from './asking.ts';
import { CrowdPlan, type Telling } from './telling.ts';
import { Typist } from './typist.ts';

/**
 * A process full of people, each with terminals and jobs, one after the other and beside each other. It tells the run what
 * they see, may be stopped and killed like every other process, and goes home when it is told to.
 */

const ttlMs = 15_000;
const renewEveryMs = 3_000;
const releaseTries = 10;
const releaseRetryMs = 1_000;

const plan = CrowdPlan.parse(JSON.parse(process.argv[2] ?? ''));
const random = new Random(plan.seed);
const ending = new AbortController();
const { signal } = ending;
process.on('message', () => ending.abort());
// The run has gone.
const orphaned = (): never => process.exit(1);
process.on('disconnect', orphaned);

await Promise.all(plan.users.map((user) => live(user, random.fork())));
process.off('disconnect', orphaned);
process.disconnect();

/** Resolves when the run can read it, whatever happens to this process after that. */
function tell(telling: Telling): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(telling, () => resolve());
  });
}

async function live(user: string, own: Random): Promise<void> {
  for (let number = 1; !signal.aborted; number += 1) {
    // Now and then for so long that the box is reaped meanwhile.
    const awayMs = own.chance(0.25) ? own.int(20_000, 60_000) : own.int(500, 8_000);
    await wait(awayMs, null, { signal }).catch(() => {});
    if (signal.aborted) return;
    const busy = [terminal(user, own)];
    if (own.chance(0.6)) busy.push(job(user, `job-${process.pid}-${number}`, own));
    await Promise.all(busy);
  }
}

/** An agent's job: holds the box for a while, renews, takes again what was lost, gives back. */
async function job(user: string, lease: string, own: Random): Promise<void> {
  const path = `/v1/boxes/${user}/leases/${lease}`;
  const endsAtMs = Date.now() + own.int(10_000, 60_000);
  let taken = false;
  while (!signal.aborted && Date.now() < endsAtMs) {
    const askedMs = Date.now();
    const answer = taken
      ? await ask(own.pick(plan.controllers), 'POST', `${path}/renew`, { ttlMs })
      : await ask(own.pick(plan.controllers), 'PUT', path, { kind: 'job', holder: lease, ttlMs });
    if (answer !== null && answer.status < 300) {
      taken = true;
      await tell({ is: 'held', user, lease, atMs: Date.now(), untilMs: askedMs + ttlMs });
    } else if (answer !== null && (answer.status === 404 || answer.status === 410)) {
      taken = false;
      await tell({ is: 'over', user, lease, atMs: Date.now() });
    }
    await wait(renewEveryMs, null, { signal }).catch(() => {});
  }
  // Told before it is given back: from then on nobody counts on it.
  await tell({ is: 'over', user, lease, atMs: Date.now() });
  for (let attempt = 0; attempt < releaseTries; attempt += 1) {
    const answer = await ask(own.pick(plan.controllers), 'DELETE', path);
    if (answer !== null && answer.status < 500) return;
    await wait(releaseRetryMs);
  }
}

async function terminal(user: string, own: Random): Promise<void> {
  const answer = await ask(own.pick(plan.controllers), 'POST', `/v1/boxes/${user}/terminal-tokens`, {});
  const reply = TerminalTokenReply.safeParse(answer?.json);
  if (!reply.success) return;
  const { token, session } = reply.data;
  const typist = new Typist(
    { user, session, token, gateway: own.pick(plan.gateways) },
    (telling) => void tell(telling),
  );
  const leaving = (): void => void typist.leave();
  signal.addEventListener('abort', leaving, { once: true });
  await typist.work(own, own.int(2_000, 40_000));
  signal.removeEventListener('abort', leaving);
  await typist.leave();
}
