import { parseArgs } from 'node:util';
import { SpoonboxError } from '../../sdk/errors.ts';
import { type Command, commonOptions, exitCodes, oneOf, parsed, positionalsOf } from '../command.ts';
import { checkBoxes, checkReconciler, checkServer, checkToken } from '../doctor/check-controller.ts';
import { checkGateway } from '../doctor/check-gateway.ts';
import { failure, type Finding } from '../doctor/finding.ts';
import { openClient } from '../open-client.ts';
import { colour, print } from '../output.ts';

export const doctor: Command = {
  name: 'doctor',
  summary: 'checks the installation from here, and says what to mend',
  help: `Checks what can be checked from here: the server, the token, Redis and engine, the leader, the mode, boxes that have
failed, the gateway. Each line is ok, a warning or a failure with its mend. Exits with 1 where there is a failure.

Usage: spoonbox doctor [-o json]

Examples
  spoonbox doctor`,
  async run(args, signal) {
    const { values, positionals } = parsed('doctor', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, output: { type: 'string', short: 'o', default: 'text' } },
        allowPositionals: true,
      }),
    );
    positionalsOf('doctor', positionals);
    const format = oneOf('doctor', 'output', values.output, ['text', 'json']);
    const client = openClient(values);
    const findings = await checkServer(client.settings, signal);
    if (findings.every(({ check, verdict }) => check !== 'server' || verdict !== 'failure')) {
      const checks: readonly (readonly [name: string, check: () => Promise<Finding | Finding[]>])[] = [
        ['token', () => checkToken(client, signal)],
        ['reconciler', () => checkReconciler(client, signal)],
        ['boxes', () => checkBoxes(client, signal)],
        ['gateway', () => checkGateway(client, signal)],
      ];
      for (const [name, check] of checks) findings.push(...(await found(name, check)));
    }
    if (format === 'json') print(JSON.stringify({ items: findings }, null, 2));
    else for (const finding of findings) for (const line of lines(finding)) print(line);
    return findings.some(({ verdict }) => verdict === 'failure') ? exitCodes.failed : exitCodes.ok;
  },
};

/** A check that is refused is a failure of its own, and the others go on. */
async function found(name: string, check: () => Promise<Finding | Finding[]>): Promise<Finding[]> {
  try {
    return [await check()].flat();
  } catch (error) {
    if (!(error instanceof SpoonboxError)) throw error;
    return [failure(name, error.message, 'see above, or the log of the controller')];
  }
}

const marks = { ok: ['green', 'ok'], warning: ['yellow', 'warning'], failure: ['red', 'failure'] } as const;

function lines({ check, verdict, found: text, mend }: Finding): string[] {
  const [style, word] = marks[verdict];
  const line = `${colour(style, word.padEnd(8))} ${check}: ${text}`;
  return mend === '' ? [line] : [line, `         → ${mend}`];
}
