import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { BoxList, LeaseReply } from '#shared/api-schemas.ts';
import type { UserName } from '#shared/identity.ts';
import { apiToken, type ControllerProcess } from '../support/controller-process.ts';
import { curlProgram } from '../support/curl.ts';
import { createInstallation, type Installation, reach } from './installation.ts';

/** The tour of the README, command by command as it stands there. A change of either breaks this. */

const root = new URL('../..', import.meta.url).pathname;
const cli = new URL('../../controller/cli/spoonbox.js', import.meta.url).pathname;

/** What npx does with `spoonbox` here, which the first command shows; npx itself takes two seconds of processor time for it. */
const quickNpx = `#!/bin/sh\n[ "$1" = spoonbox ] && shift && exec node '${cli}' "$@"\n`;

interface Ran {
  readonly code: number | null;
  readonly out: string;
}

let installation: Installation;
let controller: ControllerProcess;
let user: UserName;
/** Where `npm start` has written the address and the token: for the part that reads them from there. */
let started: string;
beforeAll(async () => {
  installation = await createInstallation();
  await installation.gateway();
  controller = await installation.controller();
  user = installation.newUser('alice');
  started = await mkdtemp(join(tmpdir(), 'spoonbox-tour-'));
  await mkdir(join(started, '.spoonbox'));
  await writeFile(join(started, '.spoonbox', 'client.json'), JSON.stringify(reach(controller)));
  await mkdir(join(started, 'bin'));
  await writeFile(join(started, 'bin', 'curl'), curlProgram, { mode: 0o755 });
  await mkdir(join(started, 'npx'));
  await writeFile(join(started, 'npx', 'npx'), quickNpx, { mode: 0o755 });
});
afterAll(async () => {
  await installation[Symbol.asyncDispose]();
  await rm(started, { recursive: true, force: true });
});

/** Each command of the first part, and what it has to say. */
const tour: readonly (readonly [command: string, says: (ran: Ran) => void])[] = [
  ['npx spoonbox attach alice', ({ out }) => expect(out).toContain('Only your home (/home/spoon) is kept')],
  [`echo 'echo kept > ~/note; exit' | npx spoonbox attach alice`, ({ out }) => expect(out).toContain('exit')],
  ['npx spoonbox get boxes', ({ out }) => expect(out).toMatch(new RegExp(`^${user} +ready +idle +- `, 'm'))],
  ['npx spoonbox describe box alice', ({ out }) => expect(out).toMatch(/Why:\n {2}kept by recent activity/)],
  [
    'npx spoonbox lease alice --id job-1 --kind job --holder agent-7 --ttl 60s --wait 60s',
    ({ out }) => expect(out).toContain('job-1\n'),
  ],
  ['npx spoonbox release alice job-1', ({ out }) => expect(out).toContain('is given back')],
  ['npx spoonbox reap alice --wait', ({ out }) => expect(out).toContain('is gone; only the home survives')],
  [`echo 'cat ~/note; exit' | npx spoonbox attach alice`, ({ out }) => expect(out).toMatch(/^kept\r?$/m)],
  [`npx spoonbox exec alice -- sh -c 'cat ~/note'`, ({ out }) => expect(out).toBe('kept\n')],
  ['npx spoonbox token alice', ({ out }) => expect(out).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/m)],
];

/** The same of the second part. */
const overHttp: readonly (readonly [command: string, says: (ran: Ran) => void])[] = [
  [
    `curl -s -H "Authorization: Bearer $TOKEN" http://127.0.0.1:3922/v1/boxes`,
    ({ out }) => expect(BoxList.parse(JSON.parse(out)).items.map((box) => box.user)).toEqual([user]),
  ],
  [
    `curl -s -H "Authorization: Bearer $TOKEN" -X PUT -H 'content-type: application/json' -d '{"kind":"job","holder":"agent-7","ttlMs":60000}' 'http://127.0.0.1:3922/v1/boxes/alice/leases/job-1?waitMs=60000'`,
    ({ out }) => expect(LeaseReply.parse(JSON.parse(out))).toMatchObject({ ready: true, lease: { id: 'job-1' } }),
  ],
  [
    `curl -s -H "Authorization: Bearer $TOKEN" -X DELETE http://127.0.0.1:3922/v1/boxes/alice/leases/job-1`,
    ({ out }) => expect(JSON.parse(out)).toEqual({ released: true }),
  ],
];

test('every command of the README’s tour does what it says', { timeout: 300_000 }, async () => {
  const [commands, http] = await tourOfReadme();
  expect(commands).toEqual(tour.map(([command]) => command));
  for (const [index, [command, says]] of tour.entries()) {
    const npx = index === 0 ? '' : `PATH="${join(started, 'npx')}:$PATH"; `;
    const env = { SPOONBOX_SERVER: controller.url, SPOONBOX_TOKEN: apiToken };
    // The interactive line gets what a person would type last.
    says(expectDone(command, await run(npx + command.replaceAll('alice', user), { cwd: root, env, input: 'exit\n' })));
  }

  const token = `TOKEN=$(node -p "require('./.spoonbox/client.json').token")`;
  expect(http).toEqual([token, ...overHttp.map(([command]) => command)]);
  for (const [command, says] of overHttp) {
    const here = command.replace('http://127.0.0.1:3922', controller.url).replaceAll('alice', user);
    says(expectDone(command, await run(`${token}; ${here}`, { cwd: started, env: {}, input: '' })));
  }
});

/** The commands of the section's code blocks: comments left out, continued lines joined. */
async function tourOfReadme(): Promise<string[][]> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  const section = z.string().parse(/^## Five minutes\n(.*?)^## /ms.exec(readme)?.[1]);
  return [...section.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = '']) =>
    block
      .replace(/\\\n\s*/g, '')
      .split('\n')
      .map((line) => line.replace(/(^|\s)#.*$/, '').trim())
      .filter((line) => line !== ''),
  );
}

function expectDone(command: string, ran: Ran): Ran {
  expect(ran.code, `${command}\n${ran.out}`).toBe(0);
  return ran;
}

async function run(
  command: string,
  options: { cwd: string; env: Readonly<Record<string, string>>; input: string },
): Promise<Ran> {
  const env = {
    ...process.env,
    ...options.env,
    PATH: `${dirname(process.execPath)}:${process.env.PATH}:${join(started, 'bin')}`,
  };
  const child = spawn('bash', ['-c', command], { cwd: options.cwd, env, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {}); // a command that reads nothing has closed it
  child.stdin.end(options.input);
  const ended = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out: code === 0 ? out : out + err };
}
