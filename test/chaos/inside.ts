import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Random } from '../sim/random.ts';
import { type Breaking, breakings, type World } from './breaking.ts';
import { ControllerLog } from './controller-log.ts';
import { EngineWatch } from './engine-watch.ts';
import { healed } from './healing.ts';
import { type Fault, History } from './history.ts';
import { checkHomes } from './homes.ts';
import { createInstallation, isReady } from './installation.ts';
import { LeaderWatch } from './leader-watch.ts';
import { LeaseHistory } from './lease-history.ts';
import { checkAllGo, checkNothingRuns, checkRecords, checkShells } from './leftovers.ts';
import { checkLooked } from './looked.ts';
import { readOptions } from './options.ts';
import { createPart, type Part } from './part.ts';
import { reportOf, textOf, writeReport } from './report.ts';
import { type CrowdPlan, Telling } from './telling.ts';
import { TerminalHistory } from './terminal-history.ts';

/**
 * Breaks a whole installation of real processes at random, for minutes, with people at work in it, and holds what they saw
 * against the promises. The seed decides what is broken when; the machine decides what that meets: a seed is a plan, not a
 * story. Started by `run.ts`, in namespaces that end with it.
 */

const crowdCount = 2;
/** Two things are broken at once in this share of the cases. */
const doubleShare = 0.25;
const pauseMs = { least: 500, most: 4_000 };
/** All people come at once, and then no more. */
const settleMs = 15_000;
const homeWithinMs = 90_000;
const disposeWithinMs = 20_000;

const startedMs = Date.now();
const options = readOptions(process.argv.slice(2));
const users = Array.from({ length: options.users }, (_, index) => `user-${index + 1}`);
const random = new Random(options.seed);
const say = (text: string): void => {
  process.stdout.write(`${((Date.now() - startedMs) / 1_000).toFixed(1).padStart(7)} s  ${text}\n`);
};
// Who started this has gone: so does everything in here.
process.stdin.on('end', () => process.exit(1)).resume();

const history = new History(say);
const leases = new LeaseHistory(history);
const log = new ControllerLog(history, leases);

say(`chaos: seed ${options.seed}, ${options.minutes} min, ${users.length} users`);
const installation = await createInstallation(
  (part, line) => {
    if (options.verbose) process.stdout.write(`${part} ${line}\n`);
    log.read(part, line);
  },
  (part, how) => history.violated(`${part} ended by itself: ${how}`),
);
const terminals = new TerminalHistory(history);
const deck: Breaking[] = [];
const crowds = Array.from({ length: crowdCount }, (_, index) => crowd(index));
const world: World = {
  ...installation,
  crowds,
  history,
  hands: { killed: new Set(), engineLost: [], liveRestore: false },
  hear,
};

try {
  await work();
  await end();
  checkLooked(history, options);
} catch (error) {
  history.violated(`the run itself failed: ${error instanceof Error ? error.stack : String(error)}`);
}
const report = reportOf(options, history, terminals);
process.stdout.write(`\n${textOf(report, startedMs)}`);
if (options.report !== undefined) await writeReport(options.report, report);
// What does not end by then ends with the namespaces.
await Promise.race([installation[Symbol.asyncDispose](), wait(disposeWithinMs)]);
process.exit(history.violations.length > 0 ? 1 : 0);

async function work(): Promise<void> {
  const watching = new AbortController();
  const watches = [
    new EngineWatch(world, log, leases).run(watching.signal),
    new LeaderWatch(history, installation.redis.port).run(watching.signal),
  ];
  for (const part of crowds) part.start();
  await wait(settleMs);
  const until = Date.now() + options.minutes * 60_000;
  while (Date.now() < until) {
    await wait(random.int(pauseMs.least, pauseMs.most));
    const faults = await Promise.all(draw().map((each) => breakOne(each)));
    const sinceMs = Date.now();
    const beganMs = Math.min(...faults.map((fault) => fault.beganMs));
    const { healMs, story } = await healed(world, leases, users, random, { beganMs, sinceMs });
    for (const fault of faults) fault.healMs = healMs;
    say(`  healed: ${story}`);
  }
  say('everybody goes home');
  await goHome();
  await Promise.all([...world.controllers, ...world.gateways].map((part) => isReady(part)));
  await checkShells(world, terminals);
  await checkRecords(world);
  await checkHomes(join(installation.corner.workdir, 'homes'), users, terminals, history);
  await checkAllGo(world, users);
  watching.abort();
  await Promise.all(watches);
}

/** One, or two that do not act on the same. Every kind has its turn before one comes again. */
function draw(): Breaking[] {
  if (deck.length < 2) {
    const allowed = breakings.filter(({ kind }) => options.only === undefined || kind.includes(options.only));
    const shuffled = allowed.map((breaking) => ({ breaking, at: random.next() })).sort((a, b) => a.at - b.at);
    deck.push(...shuffled.map(({ breaking }) => breaking));
  }
  const first = deck.shift();
  if (first === undefined) throw new Error(`no kind of fault is called ${options.only}`);
  const other = deck.findIndex(({ realm }) => realm !== first.realm);
  return other >= 0 && random.chance(doubleShare) ? [first, ...deck.splice(other, 1)] : [first];
}

async function breakOne({ kind, run }: Breaking): Promise<Fault> {
  let fault: Fault | null = null;
  await run(world, random.fork(), (touches) => {
    fault = history.begins(kind, touches);
    say(`${kind} (${touches.slice(0, 2).join(', ')})`);
  });
  const made = fault ?? history.begins(kind, []);
  made.endedMs = Date.now();
  return made;
}

async function goHome(): Promise<void> {
  const late = setTimeout(() => {
    history.violated(`the people did not get home within ${homeWithinMs / 1_000} s`);
    for (const part of crowds) void part.kill();
  }, homeWithinMs);
  const exits = crowds.map((part) => part.exited);
  for (const part of crowds) part.send('home');
  await Promise.all(exits);
  clearTimeout(late);
}

/** The processes end as they should, and leave nothing. */
async function end(): Promise<void> {
  for (const part of [...installation.gateways, ...installation.controllers]) {
    const code = await part.stop();
    if (code === 0) history.checked('a process that is told to stop ends by itself, with exit code 0');
    else
      history.violated(`7: ${part.name} was told to stop, and ended with ${code ?? 'SIGKILL'}:\n${part.lastLines()}`);
  }
  await checkNothingRuns(world);
}

function crowd(index: number): Part {
  const plan: CrowdPlan = {
    name: `clients-${index + 1}`,
    users: users.filter((_, at) => at % crowdCount === index),
    seed: random.int(1, 1_000_000_000),
    controllers: installation.controllers.map(({ url }) => url),
    gateways: installation.gateways.map(({ name, url }) => ({ name, url })),
  };
  return createPart({
    name: plan.name,
    main: new URL('./crowd.ts', import.meta.url).pathname,
    args: [JSON.stringify(plan)],
    environment: { PATH: process.env.PATH ?? '' },
    onLine: (line) => process.stdout.write(`${plan.name}: ${line}\n`),
    onMessage: (message) => hear(Telling.parse(message)),
    onEnd: (how) => {
      if (how !== 'exit code 0') history.violated(`the test's own ${plan.name} ended: ${how}`);
    },
  });
}

function hear(telling: Telling): void {
  switch (telling.is) {
    case 'held':
      leases.held(telling.user, telling.lease, telling.atMs, telling.untilMs);
      history.checked('a lease is taken or renewed');
      return;
    case 'over':
      leases.over(telling.user, telling.lease, telling.atMs);
      return;
    case 'opens':
      terminals.opens(telling);
      return;
    case 'echoed':
      terminals.echo(telling);
      return;
    case 'garbled':
      terminals.garbled(telling);
      return;
    case 'closed':
      terminals.closed(telling);
  }
}
