import { z } from 'zod';
import { relativeTime } from '#shared/human-time.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import { printable } from '../output.ts';
import type { Settings } from '../../sdk/settings.ts';
import { failure, type Finding, ok, warning } from '#shared/finding.ts';

const answerWithinMs = 5_000;
const slowMs = 500;
/** A leader beats several times a second. */
const beatOldMs = 10_000;

const Ready = z.looseObject({ reasons: z.array(z.string()).optional(), warnings: z.array(z.string()).default([]) });

/** The server, and what it says of Redis and the engine. No token is needed. */
export async function checkServer({ server }: Settings, signal: AbortSignal): Promise<Finding[]> {
  const startedMs = performance.now();
  try {
    const response = await fetch(`${server}/readyz`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]),
    });
    const tookMs = Math.round(performance.now() - startedMs);
    const { reasons, warnings } = Ready.parse(await response.json());
    const reached =
      tookMs > slowMs
        ? warning(
            'server',
            `${server} answers in ${tookMs} ms`,
            'look at the load of its machine, and at the way there',
          )
        : ok('server', `${server} answers in ${tookMs} ms`);
    if (response.ok) {
      const mend = 'what it says to do; the log of the controller says more';
      const warned = warnings.map((text) => warning('server', printable(text), mend));
      return [reached, ok('Redis and engine', 'both answer'), ...warned];
    }
    const why = printable((reasons ?? [`HTTP ${response.status}`]).join('; '));
    return [reached, failure('Redis and engine', why, 'start what does not answer; boxes that run go on meanwhile')];
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? String(error.cause ?? error.message) : String(error);
    return [
      failure(
        'server',
        `${server} does not answer as a controller does (${why})`,
        'start it: `npm start`, or name another with --server',
      ),
    ];
  }
}

/** Who asks. */
export async function checkToken(client: ApiClient, signal: AbortSignal): Promise<Finding> {
  const { role, name } = await client.whoAmI(signal);
  return role === 'admin'
    ? ok('token', `${printable(name)}, role ${role}`)
    : warning('token', `${printable(name)}, role ${role}`, 'some commands need a token of role admin');
}

/** Who leads, in which mode, and how the loop does. */
export async function checkReconciler(client: ApiClient, signal: AbortSignal): Promise<Finding[]> {
  const { now, mode, leader, loop } = await client.reconciler(signal);
  const isOld = leader.lastBeatAt !== null && now - leader.lastBeatAt > beatOldMs;
  const leading =
    leader.holder === '' || isOld
      ? failure(
          'leader',
          leader.holder === ''
            ? 'no controller leads'
            : `${printable(leader.holder)} led, and is silent since ${relativeTime(leader.lastBeatAt ?? 0, now)}`,
          'start a controller that reaches Redis and the engine',
        )
      : ok('leader', printable(leader.holder));
  const because = mode.reason === '' ? '' : `: ${printable(mode.reason)}`;
  const running =
    mode.mode === 'run'
      ? ok('mode', 'run')
      : warning(
          'mode',
          `${mode.mode}, by ${printable(mode.by)} ${relativeTime(mode.since, now)}${because}`,
          '`spoonbox resume` ends it',
        );
  const findings = [leading, running];
  if (loop === null) return findings;
  if (loop.amnesty !== null) {
    findings.push(
      warning(
        'trust',
        `nobody is taken for idle: ${printable(loop.amnesty)}`,
        'nothing: it ends by itself once every running box has its time',
      ),
    );
  }
  findings.push(
    loop.passes.failed > 0
      ? warning(
          'passes',
          `${loop.passes.failed} of ${loop.passes.count} failed in the last minute`,
          "look at the leader's log",
        )
      : ok('passes', `${loop.passes.count} in the last minute, none failed`),
  );
  return findings;
}

/** Boxes that do not get ready. */
export async function checkBoxes(client: ApiClient, signal: AbortSignal): Promise<Finding[]> {
  const boxes = await client.boxes(null, signal);
  const failed = boxes.filter(({ phase }) => phase === 'failed');
  if (failed.length === 0) return [ok('boxes', `${boxes.length} known, none failed`)];
  return failed.map(({ user, message }) =>
    failure(`box ${user}`, printable(message), `\`spoonbox describe box ${user}\` says what its reasons mean`),
  );
}
