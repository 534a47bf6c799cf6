import { parseArgs } from 'node:util';
import type { RolloutView } from '#shared/rollout.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import {
  CliError,
  type Command,
  commonOptions,
  exitCodeOf,
  exitCodes,
  oneOf,
  parsed,
  positionalsOf,
  usageError,
} from '../command.ts';
import { changedMeanwhile } from '../changed-meanwhile.ts';
import { mayGoOn, yesOption } from '../confirm.ts';
import { keepLooking } from '../keep-looking.ts';
import { openClient } from '../open-client.ts';
import { hint, print, printable, statusLine } from '../output.ts';
import { pullLine, pullsLine, rolloutLines, waitingOf } from '../rollout-lines.ts';

const againAfterMs = 2_000;
const lookEveryMs = 500;

export const rollout: Command = {
  name: 'rollout',
  summary: 'how newer images and classes reach boxes: see it, hold it up, or begin it now',
  help: `A box whose image or class changed is replaced once nobody holds it: no lease, no terminal whose user may come back. Until
then it stays as it is. \`status\` shows for each class its image, and who keeps which box from what is new.

Usage: spoonbox rollout status [-w] [-o json]
       spoonbox rollout pause [--reason TEXT] | resume
       spoonbox rollout now [--force] [-y] [-w]

  status    for each class: how many boxes are up to date, which wait and for whom, which are being replaced
  pause     replaces no box because its image or class changed; new boxes are made as ever
  resume    ends the pause
  now       pulls the images of all classes again, once, and waits until that is done

Options
  -w, --watch     status: again every ${againAfterMs / 1_000} seconds, where something changed, until Ctrl-C; now: the same, after it
  --force         now: makes boxes anew that somebody holds, too: what runs in them is ended, and only the homes survive
  --reason TEXT   pause: for people, why
  -y, --yes       do not ask
  -o json         status: what the API answers

Examples
  spoonbox rollout status
  spoonbox rollout pause --reason "the release waits for Monday"
  spoonbox rollout now --force`,
  async run(args, signal) {
    const { values, positionals } = parsed('rollout', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          watch: { type: 'boolean', short: 'w', default: false },
          force: { type: 'boolean', default: false },
          reason: { type: 'string' },
          output: { type: 'string', short: 'o', default: 'text' },
          ...yesOption,
        },
        allowPositionals: true,
      }),
    );
    const [verb = ''] = positionalsOf('rollout', positionals, 'status, pause, resume or now');
    const { watch, force, reason, yes } = values;
    const format = oneOf('rollout', 'output', values.output, ['text', 'json']);
    if (force && verb !== 'now') throw usageError('--force goes with `now`', 'rollout');
    if (reason !== undefined && verb !== 'pause') throw usageError('--reason goes with `pause`', 'rollout');
    const client = openClient(values);
    switch (verb) {
      case 'status':
        return await showStatus(client, { watch, isJson: format === 'json' }, signal);
      case 'pause':
      case 'resume': {
        const paused = verb === 'pause';
        await client.pauseRollout({ paused, ...(reason === undefined ? {} : { reason }) }, signal);
        print(
          paused
            ? 'no box is replaced because its image or class changed, until `spoonbox rollout resume`'
            : 'boxes whose image or class changed are replaced once nobody holds them',
        );
        return exitCodes.ok;
      }
      case 'now':
        return await rollOutNow(client, { watch, force, yes }, signal);
      default:
        throw usageError(`${verb} is none of status, pause, resume, now`, 'rollout');
    }
  },
};

async function showStatus(
  client: ApiClient,
  { watch, isJson }: { watch: boolean; isJson: boolean },
  signal: AbortSignal,
): Promise<number> {
  let shown = '';
  const looks = keepLooking(() => client.rollout(signal), { everyMs: againAfterMs }, signal);
  for await (const view of looks) {
    const { now: _now, ...rest } = view;
    const lines = isJson ? [JSON.stringify(view, null, watch ? 0 : 2)] : rolloutLines(view);
    if (JSON.stringify(rest) !== shown) {
      if (!isJson && shown !== '') hint('');
      for (const line of lines) print(line);
    }
    shown = JSON.stringify(rest);
    if (!watch) break;
  }
  return exitCodes.ok;
}

async function rollOutNow(
  client: ApiClient,
  { watch, force, yes }: { watch: boolean; force: boolean; yes: boolean },
  signal: AbortSignal,
): Promise<number> {
  const view = await pullAgain(client, signal);
  for (const pull of view.pulls?.images ?? []) print(pullLine(pull));
  let failed = view.pulls?.images.some(({ state }) => state === 'failed') ?? false;
  if (force) {
    const isDone = await recreateAll(client, yes, signal);
    failed ||= !isDone;
  } else {
    const { length } = waitingOf(await client.rollout(signal));
    if (length > 0)
      print(
        `${length} of the boxes are of before; each is replaced once nobody holds it (\`spoonbox rollout status\`)`,
      );
  }
  if (watch) return await showStatus(client, { watch, isJson: false }, signal);
  return failed ? exitCodes.failed : exitCodes.ok;
}

/** Asks for a round of pulls, and follows it to its end. */
async function pullAgain(client: ApiClient, signal: AbortSignal): Promise<RolloutView> {
  const askedAt = await client.pullImages(signal);
  const line = statusLine();
  try {
    const looks = keepLooking(
      () => client.rollout(signal),
      { everyMs: lookEveryMs, hasHeard: true, say: line.show },
      signal,
    );
    for await (const view of looks) {
      const { pulls } = view;
      if (pulls === null || pulls.askedAt < askedAt) throw new CliError('Redis lost what was asked for: ask again');
      if (pulls.ended) return view;
      line.show(pullsLine(pulls));
    }
    throw new Error('looks never end by themselves');
  } finally {
    line.clear();
  }
}

/** Everybody's box that is of before, held or not. False where one could not be made anew. */
async function recreateAll(client: ApiClient, yes: boolean, signal: AbortSignal): Promise<boolean> {
  const seen = new Map((await client.boxes(null, signal)).map((box) => [box.user, box]));
  const waiting = waitingOf(await client.rollout(signal)).filter(({ user }) => seen.has(user));
  if (waiting.length === 0) {
    print('every box is as it would be made now');
    return true;
  }
  for (const { user, heldBy } of waiting) {
    hint(`  ${user}: ${heldBy.length === 0 ? 'nobody holds it' : `held by ${heldBy.map(printable).join(', ')}`}`);
  }
  const what = `${waiting.length === 1 ? 'this box is' : `these ${waiting.length} boxes are`} made anew: what runs there is ended, and only the home survives`;
  if (!(await mayGoOn(what, yes, signal))) throw new CliError('nothing is replaced by force; the images were pulled');
  // While it was asked, some may have been replaced: whoever works in a new one is left alone.
  const still = new Set(waitingOf(await client.rollout(signal)).map(({ user }) => user));
  let isDone = true;
  for (const { user } of waiting) {
    if (!still.has(user)) continue;
    try {
      await client.act(user, { action: 'recreate' }, seen.get(user) ?? null, signal);
      print(`the box of ${user} is made anew`);
    } catch (error) {
      if (exitCodeOf(error) !== exitCodes.failed || !(error instanceof Error)) throw error;
      const why = (await changedMeanwhile(client, user, error, signal)) ?? printable(error.message);
      hint(`the box of ${user} is not made anew: ${why}`);
      isDone = false;
    }
  }
  return isDone;
}
