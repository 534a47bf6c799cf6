import { describe, expect, it } from 'vitest';
import { machineEdges } from './coverage.ts';
import { runMany, seedsFrom } from './many-seeds.ts';
import { recipeOf, textOf } from './recipe.ts';
import { Report } from './report.ts';
import { runSeed, usualSeed } from './run-seed.ts';
import { rulesWithoutHelp } from './seek.ts';
import { unreachable } from './unreachable.ts';

/** As many seeds as this time has room for, in two processes; fewer than the least only say that the machine is too slow. */
const seconds = 30;
const seedsLeast = 5;
const seedsMost = 10_000;
const firstSeed = 1;

describe('the controllers and gateways in virtual time, under faults', () => {
  it('keep every promise, in as many seeds as there is time for', { timeout: 600_000 }, async () => {
    const report = new Report();
    const run = (from: number, count: number, secondsMost: number): Promise<void> =>
      runMany({
        seeds: seedsFrom(from, count),
        minutes: usualSeed.minutes,
        workers: 2,
        secondsMost,
        told: (summary) => report.add(summary),
      });
    await run(firstSeed, seedsMost, seconds);
    if (report.ran() < seedsLeast) await run(firstSeed + report.ran(), seedsLeast - report.ran(), 600);
    const replay = report.violations().map((red) => `${red}; replay with: node test/sim/replay.ts SEED --shrink`);
    console.log(`simulation: ${report.ran()} seeds from ${firstSeed} on; ${report.coverage()}`);
    expect(replay).toEqual([]);
    expect(report.wronglyListed()).toEqual([]);
    expect(report.ran()).toBeGreaterThanOrEqual(seedsLeast);
  });

  it('tell the same story of the same seed', { timeout: 120_000 }, async () => {
    const edge = machineEdges()[7] ?? '';
    const options = { ...usualSeed, minutes: 1, edge };
    const [first, second] = [await runSeed(7, options), await runSeed(7, options)];
    expect(second.story).toEqual(first.story);
    expect(second.steps).toBe(first.steps);
    expect(second.violations).toEqual(first.violations);
    expect(first.faults.length).toBeGreaterThanOrEqual(usualSeed.leastFaults);
  });
});

describe('what a run looks for', () => {
  it('is every edge of the machine, and for each rule it is known what brings it about', () => {
    expect(machineEdges().length).toBeGreaterThan(200);
    expect(rulesWithoutHelp(machineEdges())).toEqual([]);
  });

  it('is missing as long as it was not reached, and red where it is listed and was reached', () => {
    const edge = machineEdges()[0] ?? '';
    const report = new Report([{ edge, classes: null, because: 'of this test' }]);
    const cells = report.missing().length;
    expect(cells).toBeGreaterThan(2_000);
    const other = machineEdges()[1] ?? '';
    const nothing = { seed: '1', violation: null, faults: 0, steps: 0, healMs: null, reached: [], first: [] };
    report.add({ ...nothing, edges: [[other, 'clock', 1]] });
    expect(report.missing().length).toBe(cells - 1);
    expect(report.wronglyListed()).toEqual([]);
    report.add({ ...nothing, edges: [[edge, '', 1]] });
    expect(report.wronglyListed()).toHaveLength(1);
  });

  it('is listed as impossible only where the machine has it', () => {
    expect(new Report(unreachable).wronglyListed()).toEqual([]);
  });

  it('can be replayed from what a run prints', () => {
    const text = '12-e57+status-lost@1234//3000/0.5/0.25+pause-box@2000/probing/200/0.1/0.9';
    expect(textOf(recipeOf(text))).toBe(text);
  });
});
