import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { type CrashWorld, openCrashWorld } from './crash-world.ts';
import { callOf, isOfRequest, type Order, type Passing } from './orders.ts';
import { remove, type Scenario, type Stage, scenarios } from './scenarios.ts';
import type { Supplies } from './supplies.ts';
import { lookAround, noWitnesses, openWitnessedWorld, type Witnesses } from './witnesses.ts';

/** Of each failpoint the first passings in a story are died at. */
const maxNth = 2;
/** A story that has ended may pass its last failpoint a moment later. */
const lastPassingMs = 3_000;
const endsWithinMs = 60_000;
const lookEveryMs = 150;

export interface Cell {
  readonly scenario: Scenario;
  readonly failpoint: string;
  readonly nth: number;
}

export interface Result {
  readonly cell: Cell;
  /** from the death to the end of the story; null = the failpoint was not passed this time */
  readonly healMs: number | null;
  readonly wrong: readonly string[];
}

/** Runs every story once without a death, and answers the cells that the failpoints passed in it make. */
export async function record(supplies: Supplies): Promise<{ cells: Cell[]; wrong: string[] }> {
  const together = scenarios.filter(({ start }) => start === 'none');
  const alone = scenarios.filter(({ start }) => start !== 'none').map((scenario) => [scenario]);
  const recorded = await Promise.all([together, ...alone].map((some) => recordIn(supplies, some)));
  return { cells: recorded.flatMap(({ cells }) => cells), wrong: recorded.flatMap(({ wrong }) => wrong) };
}

/** Several stories at once in a world of their own; none but one where it is about a start of the controller. */
async function recordIn(supplies: Supplies, some: readonly Scenario[]): Promise<{ cells: Cell[]; wrong: string[] }> {
  const starts = some.map(({ start }) => start);
  const { world, witnesses } = await open(supplies, starts.includes('fresh'));
  const cells: Cell[] = [];
  const wrong: string[] = [];
  try {
    const stories = await Promise.all(
      some.map(async (scenario) => {
        const stage = await prepared(world, witnesses, scenario);
        return { scenario, stage, order: orderFor(scenario.globals, stage, null, 0) };
      }),
    );
    world.order(stories.map(({ order }) => order));
    if (starts.includes('again')) await world.life().stop();
    if (!starts.includes('none')) await world.start(some[0]?.verifies);
    await Promise.all(
      stories.map(async ({ scenario, stage }) => {
        await scenario.act(stage);
        wrong.push(...(await ended(scenario, stage)));
      }),
    );
    await wait(lastPassingMs);
    world.order([]);
    const passings = world.passings();
    for (const { scenario, order } of stories) {
      const own = passings.filter((passing) => passing.order === order.id);
      cells.push(...cellsOf(scenario, own));
    }
    await Promise.all(stories.map(({ stage }) => remove(stage)));
  } finally {
    wrong.push(...(await world.close(witnesses.users)));
  }
  return { cells, wrong };
}

async function open(supplies: Supplies, fresh: boolean): Promise<{ world: CrashWorld; witnesses: Witnesses }> {
  if (!fresh) return await openWitnessedWorld(supplies);
  return { world: await openCrashWorld(supplies), witnesses: noWitnesses };
}

function cellsOf(scenario: Scenario, passings: readonly Passing[]): Cell[] {
  return (
    passings
      .filter(({ failpoint, nth }) => nth <= (isOfRequest(failpoint) ? 1 : maxNth))
      // A first start differs from others in what concerns no user, and one that verifies the work directory in that.
      .filter(({ failpoint }) => !scenario.onlyGlobals || scenario.globals.includes(callOf(failpoint)))
      .map(({ failpoint, nth }) => ({ scenario, failpoint, nth }))
  );
}

/**
 * Reaches every goal, with several worlds at a time. A goal is a list of cells of which one has to be died in: a failpoint may
 * not be passed each time, and then the next one of the list is tried. Aborted, it begins no more of them.
 */
export async function die(
  supplies: Supplies,
  goals: readonly (readonly Cell[])[],
  worlds: number,
  onResult: (result: Result) => void,
  signal: AbortSignal,
): Promise<{ results: Result[]; wrong: string[] }> {
  const waiting = [...goals];
  const results: Result[] = [];
  const wrong: string[] = [];
  signal.addEventListener('abort', () => void waiting.splice(0), { once: true });

  function tell(result: Result, goal: readonly Cell[]): void {
    const others = goal.slice(1);
    if (result.healMs === null && result.wrong.length === 0 && others.length > 0 && !signal.aborted) {
      waiting.push(others);
      return;
    }
    results.push(result);
    onResult(result);
  }
  async function inFreshWorld(cell: Cell): Promise<Result> {
    const world = await openCrashWorld(supplies);
    try {
      const stage = await prepared(world, noWitnesses, cell.scenario);
      const result = await dieIn(cell, stage);
      await remove(stage);
      return result;
    } finally {
      wrong.push(...(await world.close([])));
    }
  }
  async function inOneWorld(): Promise<void> {
    const { world, witnesses } = await openWitnessedWorld(supplies);
    const removals: Promise<void>[] = [];
    const ahead: { ready: Promise<Ready> | null } = { ready: null };
    // The next story is made ready while this one is healed: the others go on, too.
    const onAlive = (): void => {
      const [goal] = waiting;
      const scenario = goal?.[0]?.scenario;
      if (goal === undefined || scenario === undefined) return;
      if (scenario.start === 'fresh' || scenario.globals.includes('pull')) return;
      waiting.shift();
      ahead.ready = prepared(world, witnesses, scenario).then((stage) => ({ goal, stage }));
      ahead.ready.catch(() => {});
    };
    try {
      for (;;) {
        const made = await ahead.ready;
        ahead.ready = null;
        const goal = made?.goal ?? waiting.shift();
        const cell = goal?.[0];
        if (goal === undefined || cell === undefined) break;
        if (cell.scenario.start === 'fresh') {
          tell(await inFreshWorld(cell), goal);
          continue;
        }
        const stage = made?.stage ?? (await prepared(world, witnesses, cell.scenario));
        tell(await dieIn(cell, stage, onAlive), goal);
        const removal = remove(stage).catch((error: unknown) => void wrong.push(String(error)));
        removals.push(removal);
        if (cell.scenario.globals.includes('pull')) await removal;
      }
    } finally {
      await Promise.all(removals);
      wrong.push(...(await world.close(witnesses.users)));
    }
  }
  const tellError = (error: unknown): void => void wrong.push(String(error));
  await Promise.all(Array.from({ length: worlds }, () => inOneWorld().catch(tellError)));
  return { results, wrong };
}

interface Ready {
  readonly goal: readonly Cell[];
  readonly stage: Stage;
}

async function prepared(world: CrashWorld, witnesses: Witnesses, scenario: Scenario): Promise<Stage> {
  const user = world.newUser('crash');
  const stage: Stage = { world, witnesses, user, before: { id: '', startedAt: '' } };
  if (scenario.home === 'kept') await world.makeHome(user);
  await scenario.prepare(stage);
  return stage;
}

async function dieIn(cell: Cell, stage: Stage, onAlive: () => void = () => {}): Promise<Result> {
  const { scenario, failpoint, nth } = cell;
  const { world } = stage;
  if (scenario.start !== 'fresh') await world.life().converged();
  world.order([orderFor(scenario.globals, stage, failpoint, nth)]);
  if (scenario.start === 'again') await world.kill();
  if (scenario.start !== 'none') await world.start(scenario.verifies);
  const { exited } = world.life();
  const acting = scenario.act(stage);
  const ending = acting.then(() => ended(scenario, stage)).then(() => wait(lastPassingMs));
  ending.catch(() => {});
  const isDead = await Promise.race([exited.then(() => true), ending.then(() => false)]);
  const diedAtMs = performance.now();
  world.order([]);
  const wrong: string[] = [];
  if (isDead) {
    if ((await exited) !== null) wrong.push('the controller ended by itself');
    await world.start();
  }
  onAlive();
  await acting;
  wrong.push(...(await ended(scenario, stage)));
  const healMs = isDead ? performance.now() - diedAtMs : null;
  wrong.push(...(await lookAround(world, stage.witnesses, stage.user, scenario.home)));
  if (wrong.length > 0)
    wrong.push(
      ...world
        .life()
        .lines.filter((line) => line.includes(stage.user))
        .slice(-20),
    );
  return { cell, healMs, wrong };
}

/** Waits for the end of a story, as a controller tells it that has looked at everything; answers what does not come. */
async function ended(scenario: Scenario, stage: Stage): Promise<string[]> {
  const giveUpAt = performance.now() + endsWithinMs;
  for (;;) {
    try {
      await stage.world.life().converged();
      const missing = await scenario.missing(stage);
      if (missing === '') return [];
      if (performance.now() > giveUpAt) return [missing];
    } catch (error) {
      if (performance.now() > giveUpAt) return [String(error)];
    }
    await wait(lookEveryMs);
  }
}

function orderFor(globals: readonly string[], { user }: Stage, failpoint: string | null, nth: number): Order {
  return { id: randomBytes(4).toString('hex'), user, globals: [...globals], failpoint, nth };
}
