import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { builtOf } from '../support/built-programs.ts';

export const cli = new URL('../../controller/cli/spoonbox.js', import.meta.url).pathname;

export interface CliRun {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface CliProcess {
  readonly child: ChildProcess;
  readonly out: () => string;
  readonly err: () => string;
  readonly ended: Promise<CliRun>;
}

export interface CliWhere {
  readonly server?: string;
  readonly token?: string;
  readonly cwd?: string;
  /** certificates to trust beside the usual ones: a file, PEM */
  readonly caFile?: string;
  /** instead of this process's own PATH */
  readonly path?: string;
  /** run under a terminal of its own, made by script(1) */
  readonly tty?: boolean;
  /** in that terminal: another size, as soon as there is this file */
  readonly resizedTo?: { readonly cols: number; readonly rows: number; readonly onceThereIs: string };
}

/** Starts the CLI as a person would, as a process of its own. */
export function startCli(args: readonly string[], where: CliWhere = {}): CliProcess {
  const { SPOONBOX_SERVER: _s, SPOONBOX_TOKEN: _t, NO_COLOR: _n, ...environment } = process.env;
  const env = {
    ...environment,
    ...(where.server === undefined ? {} : { SPOONBOX_SERVER: where.server }),
    ...(where.token === undefined ? {} : { SPOONBOX_TOKEN: where.token }),
    ...(where.caFile === undefined ? {} : { NODE_EXTRA_CA_CERTS: where.caFile }),
    ...(where.path === undefined ? {} : { PATH: where.path }),
  };
  const options = { cwd: where.cwd ?? tmpdir(), env };
  const quoted = [process.execPath, builtOf(cli), ...args].map((arg) => `'${arg}'`).join(' ');
  // The settings of the terminal are told before and after: they must be the same.
  const resized = where.resizedTo;
  const resize = resized
    ? `(while [ ! -e ${resized.onceThereIs} ]; do sleep 0.05; done; stty cols ${resized.cols} rows ${resized.rows} </dev/tty) & `
    : '';
  const inTerminal = `stty cols 100 rows 30; stty -g; ${resize}${quoted}; code=$?; stty -g; exit $code`;
  const child = where.tty
    ? spawn('script', ['-qec', inTerminal, '/dev/null'], options)
    : spawn(process.execPath, [builtOf(cli), ...args], options);
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code === null ? null : Number(code), out, err }));
  return { child, out: () => out, err: () => err, ended };
}

export async function runCli(args: readonly string[], where: CliWhere & { input?: string } = {}): Promise<CliRun> {
  const { child, ended } = startCli(args, where);
  child.stdin?.end(where.input ?? '');
  return await ended;
}
