import { Readable, Writable } from 'node:stream';
import { terminalPath } from '#shared/terminal-protocol.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import { CliError } from '../command.ts';
import { runRemoteJob } from '../job/remote-job.ts';
import { printable } from '../output.ts';
import type { Settings } from '../settings.ts';

/** Where boxes are. */
export type JobPlace = ApiClient & { readonly settings: Settings };

/** Of what a failed command says, this much is told. */
const toldCharsMost = 2_000;

/** Runs a command in a box that must succeed: throws what it said where it does not. */
export async function jobIn(
  place: JobPlace,
  job: { user: string; command: readonly string[]; stdin?: Readable; stdout?: Writable },
  signal: AbortSignal,
): Promise<void> {
  const { token, url } = await place.terminalToken(job.user, { mode: 'rw' }, signal);
  const { gateway } = place.settings;
  const terminalUrl = gateway === null ? url : gateway.replace(/^http/, 'ws').replace(/\/+$/, '') + terminalPath;
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
  const code = await runRemoteJob(
    { terminalUrl, token },
    { command: job.command, stdin: job.stdin !== undefined, directory: undefined },
    {
      stdin: job.stdin ?? Readable.from([]),
      stdout: job.stdout ?? new Writable({ write: (_c, _e, done) => done() }),
      stderr,
    },
    signal,
  );
  if (broken !== null) {
    throw new CliError(`the copy broke off: ${broken instanceof Error ? broken.message : String(broken)}`);
  }
  if (code !== 0) {
    throw new CliError(
      `the box of ${job.user} refused: ${printable(said.trim().slice(0, toldCharsMost)) || `exit code ${code}`}`,
    );
  }
}
