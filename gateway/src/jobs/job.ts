import { randomBytes } from 'node:crypto';
import { type Checkout, directoryIn } from '#shared/checkout.ts';
import { channel, type ExecStatus, exitStatus, failureStatus } from '#shared/exec-protocol.ts';
import { EngineError } from '#shared/faults.ts';
import { LeaseId, type UserName } from '#shared/identity.ts';
import type { Span } from '#shared/tracing.ts';
import { lookAfterEnd } from '../autopsy.ts';
import { prepareCheckout } from '../checkout/prepare.ts';
import { ClientGone, Ending, storeIsSilent } from '../ending.ts';
import { environmentOf, type ReadEnvironment } from '../environment.ts';
import type { BoxCommands, RunningCommand, StartCommand } from '../exec/command-port.ts';
import type { StartQueue } from '../exec/start-queue.ts';
import { TerminalLease } from '../lease.ts';
import type { GatewayMeter } from '../metrics/gateway-meter.ts';
import { pauseAfter } from '../start-shell.ts';
import { type WaitDeps, waitReady } from '../wait-ready.ts';
import type { JobSocket } from './job-socket.ts';
import type { JobPlace } from './jobs.ts';
import { relay } from './relay.ts';
import { untilEnded } from './until-ended.ts';

export interface JobDeps extends WaitDeps {
  readonly commands: BoxCommands;
  readonly environment: ReadEnvironment;
  readonly starts: StartQueue;
  readonly meter: GatewayMeter;
  /** this gateway's id */
  readonly gateway: string;
}

export interface JobOf {
  readonly user: UserName;
  readonly command: readonly string[];
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** below the checkout, or else below the home */
  readonly directory: string | null;
  readonly checkout: Checkout | null;
  /** from its request to its start */
  readonly attach: Span;
}

/**
 * One command from its lease to its status: lease → ready → exec → bytes → exit code. It is run at most once: a box that is
 * gone before the start is waited for again, one that is gone after it is a failure. Never rejects. When it resolves, the
 * client was told and has gone, the processes are ended, the lease is given back, as far as Redis and the engine could be reached.
 */
export async function runJob(deps: JobDeps, of: JobOf, socket: JobSocket, place: JobPlace): Promise<void> {
  const job = new Job(deps, of, socket, place);
  let status: ExecStatus;
  try {
    status = await job.run();
  } catch (error) {
    status = job.failed(error);
  }
  await Promise.all([socket.finish(status), job.end()]);
  place.leave();
}

class Job {
  /** its mark in the box. The sweep of the controller leaves a mark alone while there is the lease `exec:<mark>`. */
  readonly id = `job-${randomBytes(12).toString('hex')}`;
  readonly #deps: JobDeps;
  readonly #of: JobOf;
  readonly #socket: JobSocket;
  readonly #place: JobPlace;
  readonly #signal: AbortSignal;
  #lease: TerminalLease | null = null;
  #command: RunningCommand | null = null;
  #stopWatching: () => void = () => {};

  constructor(deps: JobDeps, of: JobOf, socket: JobSocket, place: JobPlace) {
    this.#deps = deps;
    this.#of = of;
    this.#socket = socket;
    this.#place = place;
    this.#signal = AbortSignal.any([socket.gone, place.signal]);
  }

  async run(): Promise<ExecStatus> {
    const { user } = this.#of;
    const lease = await this.#takeLease();
    const { command, containerId } = await this.#start(lease);
    this.#command = command;
    this.#of.attach.end();
    await relay(
      this.#deps,
      { command, socket: this.#socket, stdout: this.#of.stdout, stderr: this.#of.stderr },
      this.#signal,
    );
    // Not where its connection broke: some of its output is lost, and the client must know.
    if (command.stream.readableEnded) await untilEnded(this.#deps, command, this.#signal);
    const found = await lookAfterEnd(this.#deps, { user, containerId, terminal: command, lease }, this.#signal);
    if (found.is === 'lost') return failureStatus('box-gone', `${found.why} while the command ran`);
    this.#command = null;
    return exitStatus(found.code);
  }

  failed(error: unknown): ExecStatus {
    this.#of.attach.end(error instanceof Error ? error.message : String(error));
    const { user } = this.#of;
    if (error instanceof Ending) {
      const why = error.close === 'released' ? 'its lease was given back' : error.message;
      return failureStatus(error.errorCode, `the command has no result: ${why}`);
    }
    if (error instanceof ClientGone) return failureStatus('released', error.message);
    this.#deps.log.error({ user, job: this.id, error }, 'a command failed');
    if (!(error instanceof EngineError)) return failureStatus('internal', 'the gateway failed; its log says why');
    return failureStatus('engine-failed', `the command could not be run: ${error.fault.message}`);
  }

  /** Whatever happens, everything that can be given back is. */
  async end(): Promise<void> {
    this.#stopWatching();
    const { log, gateway } = this.#deps;
    const of = { user: this.#of.user, job: this.id };
    // First the processes: a box that is not held any more may be reaped, but needs no haste.
    await this.#command?.end().catch((error: unknown) => {
      log.error({ ...of, error }, 'the processes of a command may be left in the box');
    });
    await this.#lease?.release(`gateway ${gateway}`).catch((error: unknown) => {
      log.warn({ ...of, error }, 'lease not given back; it expires by itself');
    });
  }

  /** Beside what the command says, where that is listened to. */
  #warn(message: string): void {
    if (this.#of.stderr)
      this.#socket.send(Buffer.concat([Buffer.of(channel.stderr), Buffer.from(`spoonbox: ${message}\n`)]));
  }

  async #takeLease(): Promise<TerminalLease> {
    const { user, command } = this.#of;
    const id = LeaseId.parse(`exec:${this.id}`);
    // Its first word only: what follows may hold secrets.
    const holder = `command ${(command[0] ?? '').replaceAll(/[^\x20-\x7e]/g, '?').slice(-maxHolderChars)}`;
    try {
      const trace = this.#of.attach.traceparent;
      const events = { ended: (ending: Ending) => this.#place.end(ending), renewed: () => {} };
      this.#lease = await TerminalLease.take(this.#deps, { user, id, holder, kind: 'job', trace }, events);
    } catch (error) {
      if (error instanceof Ending) throw error;
      this.#deps.log.warn({ user, error }, 'no lease for a command: Redis does not answer');
      throw storeIsSilent();
    }
    const lease = this.#lease;
    this.#stopWatching = this.#deps.feed.watch(user, () => void lease.check());
    return lease;
  }

  async #start(lease: TerminalLease): Promise<{ command: RunningCommand; containerId: string }> {
    const { user, stdin, checkout, directory } = this.#of;
    const { commands, starts, log, meter, clock } = this.#deps;
    let { phase, containerId } = lease.taken;
    for (let failures = 0; ; failures += 1) {
      this.#signal.throwIfAborted();
      if (phase !== 'ready' || containerId === '') {
        ({ containerId } = await waitReady(this.#deps, user, () => {}, this.#signal));
      }
      phase = 'absent'; // what the next round finds out by itself
      const environment = await environmentOf(this.#deps, user, (message) => this.#warn(message));
      const start = {
        containerId,
        mark: this.id,
        command: this.#of.command,
        environment,
        stdin,
        directory: directoryIn(checkout, directory),
      };
      let beganAtMs = clock.monotonicMs();
      const begin = (): Promise<RunningCommand> => {
        beganAtMs = clock.monotonicMs();
        return commands.start(start, this.#signal);
      };
      try {
        if (checkout !== null) await this.#prepare(start, checkout);
        const command = await starts.run(user, begin, this.#signal);
        meter.started('command', clock.monotonicMs() - beganAtMs, 'ok');
        return { command, containerId };
      } catch (error) {
        if (error instanceof EngineError) meter.started('command', clock.monotonicMs() - beganAtMs, error.fault.kind);
        if (!(error instanceof EngineError) || !notRun.has(error.fault.kind)) throw error;
        log.info({ user, containerId, error }, 'the box of a command has just ended; waiting for the next one');
        await pauseAfter(this.#deps, failures + 1, this.#signal);
      }
    }
  }

  async #prepare(start: StartCommand, checkout: Checkout): Promise<void> {
    const of = { user: this.#of.user, start, checkout };
    const tell = (line: string): void => {
      // A client that takes nothing misses some of it.
      if (!this.#of.stderr || this.#socket.isFull()) return;
      this.#socket.send(Buffer.concat([Buffer.of(channel.stderr), Buffer.from(`${line}\n`)]));
    };
    await prepareCheckout(this.#deps, of, tell, this.#signal);
  }
}

const maxHolderChars = 60;
/** With these the engine says that the box does not run, so the command did not either. */
const notRun: ReadonlySet<string> = new Set(['not-found', 'conflict']);
