import { expect, test } from 'vitest';
import { die } from './matrix.ts';
import { eachOnce } from './names.ts';
import { isOfRequest } from './orders.ts';
import { openSupplies } from './supplies.ts';

/**
 * The short form of the crash matrix: `kill -9` of the controller after every call on the engine and every kind of commit. All
 * stories, each of their failpoints, and deaths amid a call: `node test/crash/run.ts`.
 */

const worlds = 4;

test('kill -9 after anything that a controller does heals with the next start: one box or none, the home intact, nothing else touched', async ({
  signal,
}) => {
  await using supplies = await openSupplies();
  const after = eachOnce().filter(({ failpoint }) => failpoint.startsWith('after ') && !isOfRequest(failpoint));
  const goals = after.map((cell) => [cell, cell]);
  const { results, wrong } = await die(supplies, goals, worlds, () => {}, signal);
  const failed = results.filter((result) => result.wrong.length > 0 || result.healMs === null);
  expect(failed.map(({ cell, ...rest }) => ({ at: cell.failpoint, story: cell.scenario.name, ...rest }))).toEqual([]);
  expect(wrong).toEqual([]);
  expect(results.length).toBe(goals.length);
}, 600_000);
