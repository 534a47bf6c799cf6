import type { Clock } from '#shared/clock.ts';
import type { GatewayMeter } from './gateway-meter.ts';

/** Counts the bytes of one terminal, and how long each input waits for an output. Called once a chunk, and allocates nothing. */
export class Traffic {
  readonly #meter: GatewayMeter;
  readonly #clock: Clock;
  /** when the first input came that no output has followed yet; null = there is none */
  #typedAtMs: number | null = null;

  constructor(meter: GatewayMeter, clock: Clock) {
    this.#meter = meter;
    this.#clock = clock;
  }

  input(bytes: number): void {
    this.#meter.inputBytes += bytes;
    this.#typedAtMs ??= this.#clock.monotonicMs();
  }

  output(bytes: number): void {
    this.#meter.outputBytes += bytes;
    if (this.#typedAtMs === null) return;
    this.#meter.echoed(this.#clock.monotonicMs() - this.#typedAtMs);
    this.#typedAtMs = null;
  }

  /** Another shell: it does not echo what was typed into the one before. */
  newShell(): void {
    this.#typedAtMs = null;
  }
}
