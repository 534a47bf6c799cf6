import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { installPackages } from '../../manifests/deploy/machine/apt.ts';
import { which } from '../../manifests/deploy/machine/command.ts';
import { Refusal } from '../../manifests/deploy/machine/refusal.ts';
import { runScript } from '../../manifests/deploy/machine/script.ts';
import { step } from '../../manifests/deploy/machine/steps.ts';
import { prepareTestMachine } from '../../manifests/deploy/machine/test-machine.ts';
import { whyNoOwnEngine } from '../support/own-engine.ts';
import { readOptions, usage } from './options.ts';

/**
 * `npm run chaos`: makes namespaces of its own for processes, network and mounts, and runs `inside.ts` in there. Whatever
 * happens to that or to this process, all of it ends with the first process in there: servers, engine, boxes, firewall
 * rules and files.
 */

const inside = new URL('./inside.ts', import.meta.url).pathname;
/** Homes, Redis' data and the engine's sockets; the engine's own data are on a disk of their own. */
const disk = '512m';
const needed = { ip: 'iproute2', iptables: 'iptables' };

await runScript('npm run chaos', async ({ signal }) => {
  const args = process.argv.slice(2);
  let report: string | undefined;
  try {
    report = readOptions(args).report;
  } catch (error) {
    throw new Refusal(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
  }
  const machine = await prepareTestMachine(true, signal);
  const folder = await mkdtemp(join(tmpdir(), 'spoonbox-chaos-'));
  try {
    const missing = Object.entries(needed).filter(([program]) => which(program) === undefined);
    if (missing.length > 0) {
      await step('Network tools', (s) =>
        installPackages(
          missing.map(([, name]) => name),
          s,
        ),
      );
    }
    const why = whyNoOwnEngine();
    if (why !== null) throw new Refusal(why);
    const env = { ...machine.env, TMPDIR: folder };
    return await runInside([...args, ...(report === undefined ? [] : ['--report', resolve(report)])], env, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
    await machine.release();
  }
});

/** The shell waits for what nobody else does: the processes that an engine leaves to the first one. */
async function runInside(args: readonly string[], env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<number> {
  const script = `set -e; mount -t tmpfs -o size=${disk} tmpfs "$TMPDIR"; ip link set lo up; set +e; "$@"; exit $?`;
  const flags = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const command = [process.execPath, inside, ...args];
  const child = spawn('unshare', [...flags, 'sh', '-c', script, 'sh', ...command], {
    env,
    detached: true,
    // Its end is what tells those inside that this process has gone.
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
  signal.addEventListener('abort', () => child.stdin.end(), { once: true });
  return await ended;
}
