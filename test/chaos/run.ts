import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { label } from '#shared/identity.ts';
import { Random } from '../sim/random.ts';
import { breakings, breakOne } from './breaking.ts';
import { ControllerLog } from './controller-log.ts';
import { History, percentile } from './history.ts';
import { type ChaosInstallation, createChaosInstallation } from './installation.ts';
import { boxesOf, job, terminal } from './people.ts';

/**
 * Breaks a whole installation of real processes at random, for minutes, with people at work in it, and checks afterwards what
 * they saw. `npm run chaos -- --minutes 3 --seed 1 --users 20`. The seed decides what is broken when; the machine decides
 * what that meets, so a seed is a plan and not a story.
 */

const args = process.argv.slice(2);
const option = (name: string, otherwise: number): number => {
  const at = args.indexOf(`--${name}`);
  return at < 0 ? otherwise : Number(args[at + 1]);
};
const seed = option('seed', 1);
const minutes = option('minutes', 3);
const users = Array.from({ length: option('users', 20) }, (_, index) => `user-${index + 1}`);
const healWithinMs = 120_000;

const random = new Random(seed);
const history = new History();
const log = new ControllerLog(history);
const say = (text: string): void => {
  process.stdout.write(`${(performance.now() / 1_000).toFixed(1).padStart(7)} s  ${text}\n`);
};

say(`chaos: seed ${seed}, ${minutes} min, ${users.length} users`);
const installation = await createChaosInstallation();
try {
  await run(installation);
} finally {
  await installation[Symbol.asyncDispose]();
}
report();
process.exit(history.violations.length > 0 ? 1 : 0);

async function run(world: ChaosInstallation): Promise<void> {
  const ending = new AbortController();
  const { signal } = ending;
  const people = users.map((user) => live(world, user, random.fork(), signal));
  const watching = watch(world, signal);
  const until = performance.now() + minutes * 60_000;
  while (performance.now() < until) {
    await wait(random.int(1_000, 6_000));
    const kind = random.pick(breakings);
    say(kind);
    history.fault(kind);
    await breakOne(world, random, kind);
    await healed(world);
  }
  say('everybody goes home');
  ending.abort();
  await Promise.all(people);
  await watching;
  await gone(world);
}

/** A user's life: jobs and terminals, one after the other and beside each other. */
async function live(world: ChaosInstallation, user: string, own: Random, signal: AbortSignal): Promise<void> {
  let made = 0;
  while (!signal.aborted) {
    await wait(own.int(500, 10_000), null, { signal }).catch(() => {});
    if (signal.aborted) return;
    made += 1;
    const working = [terminal(world, history, own, user)];
    if (own.chance(0.6)) working.push(job(world, history, own, user, `job-${made}`, signal));
    await Promise.all(working);
  }
}

/** Looks at the engine itself, again and again: the boxes, and the homes. */
async function watch(world: ChaosInstallation, signal: AbortSignal): Promise<void> {
  const marks = new Map<string, number>();
  while (!signal.aborted) {
    await wait(500, null, { signal }).catch(() => {});
    for (const slot of world.controllers) log.read(slot.running?.lines ?? []);
    const boxes = await world.docker.listContainers({ filters: { label: [`${label.role}=box`] } }).catch(() => null);
    if (boxes === null) continue;
    const running = new Map<string, number>();
    for (const { Labels } of boxes) {
      const user = Labels[label.user] ?? '';
      running.set(user, (running.get(user) ?? 0) + 1);
    }
    for (const [user, count] of running) {
      if (count > 1) history.violated(`1: ${count} boxes of ${user} run`);
      else history.checked('one box a user');
    }
    for (const user of users) {
      const path = join(world.world.docker.workdir, 'homes', user, 'marks');
      const size = (await readFile(path).catch(() => Buffer.alloc(0))).length;
      if (size < (marks.get(user) ?? 0)) history.violated(`3: the home of ${user} lost something`);
      else history.checked('a home never shrinks');
      marks.set(user, size);
    }
  }
}

/** Until everybody whose lease is live has a ready box, and how long that took. */
async function healed(world: ChaosInstallation): Promise<void> {
  const begunMs = performance.now();
  for (;;) {
    const boxes = await boxesOf(world, random);
    const now = performance.now();
    if (boxes !== null) {
      const ready = new Set(boxes.filter((box) => box.ready).map((box) => box.user));
      const waiting = users.filter((user) => history.isHeld(user, now) && !ready.has(user));
      if (waiting.length === 0) {
        history.heals.push(now - begunMs);
        history.checked('who holds a box gets one once the fault is over');
        return;
      }
      if (now - begunMs > healWithinMs) {
        history.violated(`5: ${waiting.join(', ')} want a box, ${healWithinMs / 1_000} s after the last fault`);
        return;
      }
    }
    await wait(100);
  }
}

/** Nobody needs anything any more: everything goes by itself. */
async function gone(world: ChaosInstallation): Promise<void> {
  const giveUpAt = performance.now() + 15 * 60_000;
  for (;;) {
    const left = await world.docker.listContainers({ all: true, filters: { label: [`${label.role}=box`] } });
    if (left.length === 0) break;
    if (performance.now() > giveUpAt) {
      history.violated(`7: ${left.length} boxes are left over: ${left.map(({ Names }) => Names[0]).join(', ')}`);
      return;
    }
    await wait(500);
  }
  history.checked('nothing is left over');
}

function report(): void {
  process.stdout.write('\nfaults\n');
  for (const [kind, count] of history.faults) process.stdout.write(`${String(count).padStart(7)}  ${kind}\n`);
  process.stdout.write('promises checked\n');
  for (const [promise, count] of history.promises) process.stdout.write(`${String(count).padStart(7)}  ${promise}\n`);
  const [p50, p99] = [percentile(history.heals, 0.5), percentile(history.heals, 0.99)];
  process.stdout.write(
    `time to heal: p50 ${Math.round(p50)} ms, p99 ${Math.round(p99)} ms of ${history.heals.length}\n`,
  );
  for (const { atMs, what } of history.violations) {
    process.stdout.write(`VIOLATED at ${(atMs / 1_000).toFixed(1)} s: never ${what}\n`);
  }
  process.stdout.write(`${history.violations.length} violations\n`);
}
