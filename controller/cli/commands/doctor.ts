import { parseArgs } from 'node:util';
import { failure, type Finding } from '#shared/finding.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import { SpoonboxError } from '../../sdk/errors.ts';
import { terminalsAt } from '../../sdk/gateway-address.ts';
import { type Command, commonOptions, durationMs, exitCodes, oneOf, parsed, positionalsOf } from '../command.ts';
import { checkServer } from '../doctor/check-controller.ts';
import { checkTerminal } from '../doctor/check-terminal.ts';
import { checksHere, type Here } from '../doctor/here.ts';
import { openClient } from '../open-client.ts';
import { colour, hint, print, printable, statusLine } from '../output.ts';

/** Longer than what proxies give a silent connection by default (nginx: 60 s). */
const defaultHold = '75s';

export const doctor: Command = {
  name: 'doctor',
  summary: 'checks the installation, from here and where the controller runs, and says what to mend',
  help: `Checks the installation, each line ok, a warning, or a failure with its mend. From here: the server, the token, versions,
clocks, certificates, the leader, the mode, boxes that have failed, whether WebSockets get to the gateway and back. Where the
controller runs (role admin): its configuration and secrets, Redis, the engine, the work directory from inside a container,
images and the tools that classes promise, disk, memory, left-overs of an earlier worker. Nothing is changed; one-shot
containers run meanwhile.

Usage: spoonbox doctor [options]

Options
  --terminal USER   also open a terminal of this user, which starts the box, and see whether a shell answers
  --hold DURATION   how long that terminal is silent before the shell is asked again (default ${defaultHold}): a proxy whose
                    timeout is too short cuts it
  -o json           {items: [{check, verdict, found, mend}], notChecked: [text]}

Exits with 0 where there is no failure, and with 1 where there is one; warnings do not count.

Examples
  spoonbox doctor
  spoonbox doctor --terminal alice
  spoonbox doctor -o json | jq -r '.items[] | select(.verdict != "ok") | .found'`,
  async run(args, signal) {
    const { values, positionals } = parsed('doctor', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          output: { type: 'string', short: 'o', default: 'text' },
          terminal: { type: 'string' },
          hold: { type: 'string' },
        },
        allowPositionals: true,
      }),
    );
    positionalsOf('doctor', positionals);
    const format = oneOf('doctor', 'output', values.output, ['text', 'json']);
    const holdMs = durationMs('doctor', 'hold', values.hold ?? defaultHold);
    const client = openClient(values);
    const { gateway } = client.settings;
    const line = statusLine();
    const findings = await checkServer(client.settings, signal);
    const notChecked: string[] = [];
    if (findings.every(({ check, verdict }) => check !== 'server' || verdict !== 'failure')) {
      line.show('the controller looks around where it runs');
      const { terminalUrl } = await whoAmI(client, signal);
      const here: Here = {
        client,
        terminalUrl: gateway === null ? terminalUrl : terminalsAt(gateway),
        consoleOrigin: null,
      };
      for (const { name, run } of checksHere) findings.push(...(await found(name, () => run(here, signal), signal)));
      const user = values.terminal;
      if (user === undefined) {
        const how = '`spoonbox doctor --terminal USER` opens one';
        notChecked.push(`a terminal from end to end, and whether a proxy cuts silent ones: ${how}`);
      } else {
        const onStatus = (text: string): void => line.show(text);
        const own = gateway === null ? null : terminalsAt(gateway);
        const asked = { user, terminalUrl: own, holdMs, onStatus };
        const check = async () => [await checkTerminal(client, asked, signal)];
        findings.push(...(await found('terminal', check, signal)));
      }
      line.clear();
    }
    if (format === 'json') print(JSON.stringify({ items: findings, notChecked }, null, 2));
    else {
      for (const finding of findings) for (const text of lines(finding)) print(text);
      for (const text of notChecked) hint(`not checked: ${text}`);
    }
    return findings.some(({ verdict }) => verdict === 'failure') ? exitCodes.failed : exitCodes.ok;
  },
};

/** That it is refused is the finding of another check. */
async function whoAmI(client: ApiClient, signal: AbortSignal): Promise<{ terminalUrl: string | null }> {
  try {
    return await client.whoAmI(signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof SpoonboxError)) throw error;
    return { terminalUrl: null };
  }
}

/** A check that is refused, or cannot be made of what it was told, is a failure of its own, and the others go on. */
async function found(
  name: string,
  check: () => Promise<readonly Finding[]>,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    return await check();
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Error ? error.message : String(error);
    return [failure(name, why, 'see above, or the log of the controller')];
  }
}

const marks = { ok: ['green', 'ok'], warning: ['yellow', 'warning'], failure: ['red', 'failure'] } as const;

function lines({ check, verdict, found: text, mend }: Finding): string[] {
  const [style, word] = marks[verdict];
  const line = `${colour(style, word.padEnd(8))} ${printable(`${check}: ${text}`)}`;
  return mend === '' ? [line] : [line, `         → ${printable(mend)}`];
}
