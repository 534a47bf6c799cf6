import { PassThrough, type Readable, Writable } from 'node:stream';
import type { Spoonbox } from '../../sdk/connect.ts';
import { CliError } from '../command.ts';
import { printable } from '../output.ts';

/** Of what a failed command says, this much is told. */
const toldCharsMost = 2_000;

/** Runs a command in a box that must succeed: throws what it said where it does not. */
export async function jobIn(
  spoonbox: Spoonbox,
  job: { user: string; command: readonly string[]; stdin?: Readable; stdout?: Writable },
  signal: AbortSignal,
): Promise<void> {
  let said = '';
  const stderr = new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (said.length < toldCharsMost) said += chunk.toString();
      done();
    },
  });
  let broken: unknown = null;
  job.stdin?.on('error', (error) => {
    broken = error;
  });
  const { exitCode } = await spoonbox.exec(job.user, job.command, {
    ...(job.stdin === undefined ? {} : { stdin: job.stdin }),
    stdout: job.stdout ?? new PassThrough().resume(),
    stderr,
    signal,
  });
  if (broken !== null) {
    throw new CliError(`the copy broke off: ${broken instanceof Error ? broken.message : String(broken)}`);
  }
  if (exitCode !== 0) {
    const words = printable(said.trim().slice(0, toldCharsMost));
    throw new CliError(`the box of ${job.user} refused: ${words || `exit code ${exitCode}`}`);
  }
}
