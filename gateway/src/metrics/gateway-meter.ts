import { Counter, Gauge, Histogram } from 'prom-client';
import { createRegistry, shortSeconds } from '#shared/metrics.ts';

/** What is started in a box. */
export type StartKind = 'terminal' | 'command';

/** What `/metrics` asks of the gateway when it is read. */
export interface GatewayCounts {
  readonly sessions: number;
  readonly ringBytes: number;
  readonly opened: number;
  readonly sockets: number;
  readonly jobs: number;
  readonly jobsStarted: number;
}

/**
 * What a gateway counts. On the path of a terminal's bytes it is one addition a chunk; prom-client sees the sums when somebody
 * reads them.
 */
export class GatewayMeter {
  readonly registry = createRegistry();
  /** of all shells, before it is sent to each viewer */
  outputBytes = 0;
  inputBytes = 0;
  /** shells that are held now because nobody takes their output */
  pausedStreams = 0;
  pauses = 0;
  /** a viewer fell behind what is kept, and was given the screen instead */
  viewersBehind = 0;
  readonly #echo: Histogram;
  readonly #starts: Histogram<'kind' | 'result'>;
  readonly #admissions: Counter<'kind' | 'result'>;
  readonly #dropped: Counter<'why'>;

  constructor() {
    const registers = [this.registry];
    this.#total('spoonbox_gateway_output_bytes_total', 'What shells said.', () => this.outputBytes);
    this.#total('spoonbox_gateway_input_bytes_total', 'What was typed into shells.', () => this.inputBytes);
    this.#echo = new Histogram({
      name: 'spoonbox_gateway_echo_seconds',
      help: 'From input that a shell was given to the next output of that terminal. What a program does not echo (a password) counts until it says something.',
      ...{ registers, buckets: shortSeconds },
    });
    this.#starts = new Histogram({
      name: 'spoonbox_gateway_exec_start_seconds',
      help: 'How long the engine took to start a shell or a command, its turn in the queue left out; result is ok, or the kind of the fault.',
      ...{ labelNames: ['kind', 'result'], registers, buckets: shortSeconds },
    });
    this.#admissions = new Counter({
      name: 'spoonbox_gateway_admissions_total',
      help: 'Who asked for a terminal or a command: admitted, or the code that refused it.',
      ...{ labelNames: ['kind', 'result'], registers },
    });
    this.#dropped = new Counter({
      name: 'spoonbox_gateway_viewers_dropped_total',
      help: 'Sockets that were cut: silent (no answer to pings), or failed (the screen could not be made for it).',
      ...{ labelNames: ['why'], registers },
    });
    this.#total(
      'spoonbox_gateway_viewers_behind_total',
      'How often a viewer was so slow that it got the screen instead of all bytes.',
      () => this.viewersBehind,
    );
    this.#total(
      'spoonbox_gateway_pauses_total',
      'How often a shell was held because nobody took its output.',
      () => this.pauses,
    );
    this.#gauge(
      'spoonbox_gateway_paused_streams',
      'Shells that are held now because nobody takes their output.',
      () => {
        return this.pausedStreams;
      },
    );
    for (const kind of ['terminal', 'command']) this.#admissions.inc({ kind, result: admitted }, 0);
    for (const why of ['silent', 'failed']) this.#dropped.inc({ why }, 0);
  }

  /** What the gateway has now, asked when somebody reads. `limits`: how many terminals and commands it takes. */
  watch(count: () => GatewayCounts, limits: { sessionsPerGateway: number; jobsPerGateway: number }): void {
    this.#gauge('spoonbox_gateway_sessions', 'Terminals that are open.', () => count().sessions);
    this.#gauge('spoonbox_gateway_sessions_limit', 'Terminals that may be open.', () => limits.sessionsPerGateway);
    this.#gauge(
      'spoonbox_gateway_ring_bytes',
      'Memory that keeps output of terminals for who comes back. What it was at most stays with the gateway.',
      () => count().ringBytes,
    );
    this.#total('spoonbox_gateway_sessions_opened_total', 'Terminals that were let in.', () => count().opened);
    this.#gauge('spoonbox_gateway_sockets', 'WebSockets that are connected.', () => count().sockets);
    this.#gauge('spoonbox_gateway_jobs', 'Commands that run.', () => count().jobs);
    this.#gauge('spoonbox_gateway_jobs_limit', 'Commands that may run.', () => limits.jobsPerGateway);
    this.#total('spoonbox_gateway_jobs_started_total', 'Commands that were let in.', () => count().jobsStarted);
  }

  admitted(kind: StartKind): void {
    this.#admissions.inc({ kind, result: admitted });
  }

  /** `code` is one of the codes of terminals and commands. */
  refused(kind: StartKind, code: string): void {
    this.#admissions.inc({ kind, result: code });
  }

  /** `result`: `ok`, or the kind of the fault. */
  started(kind: StartKind, tookMs: number, result: string): void {
    this.#starts.observe({ kind, result }, tookMs / 1_000);
  }

  echoed(afterMs: number): void {
    this.#echo.observe(afterMs / 1_000);
  }

  dropped(why: 'silent' | 'failed'): void {
    this.#dropped.inc({ why });
  }

  #gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      ...{ name, help, registers: [this.registry] },
      collect() {
        this.set(value());
      },
    });
  }

  #total(name: string, help: string, value: () => number): void {
    new Counter({
      ...{ name, help, registers: [this.registry] },
      collect() {
        this.reset();
        this.inc(value());
      },
    });
  }
}

const admitted = 'admitted';
