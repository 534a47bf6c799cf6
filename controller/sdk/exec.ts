import { Readable, type Writable } from 'node:stream';
import type { Checkout } from '#shared/checkout.ts';
import { CollectedOutput, maxOutputBytes } from './collected-output.ts';
import { InvalidName } from './errors.ts';
import { runRemoteCommand } from './remote-command.ts';

export interface ExecOptions {
  /** none: the command reads an empty input */
  readonly stdin?: Readable | string | Uint8Array;
  /** where the command starts: below the checkout where there is one, else below the home */
  readonly cwd?: string;
  /** made first, and begun in; what git says meanwhile comes on `stderr`. Default: that of the lease */
  readonly checkout?: Checkout;
  /** name of a live lease, in whose checkout the command starts where it has one; a leased box names its own */
  readonly lease?: string;
  /** not for secrets: as any word of a command, whoever may inspect execs on the engine, or reads a proxy's log, sees them */
  readonly env?: Readonly<Record<string, string>>;
  /** takes the output as it comes, and is not ended; without it the output is collected */
  readonly stdout?: Writable;
  readonly stderr?: Writable;
  /** the most that is collected of each output; more ends the command. Default: 16 MiB */
  readonly maxOutputBytes?: number;
  /** ends the command: hang-up, then kill */
  readonly signal?: AbortSignal;
}

/** The texts are empty where a stream took the output. */
export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command without a terminal. Throws a CommandLost where it has no exit code, an ApiRefusal where it is refused. */
export async function exec(
  where: { readonly execUrl: string; readonly token: string },
  user: string,
  command: readonly string[],
  options: ExecOptions,
  signal: AbortSignal,
): Promise<ExecResult> {
  const most = options.maxOutputBytes ?? maxOutputBytes;
  const collected = { stdout: new CollectedOutput(most), stderr: new CollectedOutput(most) };
  const exitCode = await runRemoteCommand(
    where,
    {
      ...{ user, command: withEnvironment(command, options.env ?? {}), directory: options.cwd ?? null },
      ...{ checkout: options.checkout ?? null, lease: options.lease ?? null },
    },
    {
      stdin: inputOf(options.stdin),
      stdout: options.stdout ?? collected.stdout,
      stderr: options.stderr ?? collected.stderr,
    },
    signal,
  );
  return { exitCode, stdout: collected.stdout.text(), stderr: collected.stderr.text() };
}

function inputOf(stdin: ExecOptions['stdin']): Readable | null {
  if (stdin === undefined) return null;
  return stdin instanceof Readable ? stdin : Readable.from([Buffer.from(stdin)]);
}

/** By the `env` of the box, for the protocol, which is Kubernetes', has no environment. */
function withEnvironment(command: readonly string[], environment: Readonly<Record<string, string>>): readonly string[] {
  const names = Object.keys(environment);
  if (names.length === 0) return command;
  const wrong = names.find((name) => !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  if (wrong !== undefined) throw new InvalidName(`"${wrong}" is no name of an environment variable`);
  if (/^-|=/.test(command[0] ?? ''))
    throw new InvalidName(`"${command[0]}" cannot be run with an environment: rename it`);
  return ['env', ...names.map((name) => `${name}=${environment[name]}`), ...command];
}
