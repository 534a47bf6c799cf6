import type { Clock } from '#shared/clock.ts';
import type { GatewayLimits } from './limits.ts';

/** How long a session is kept while nobody is attached. */
export class Grace {
  /** when the last one left, on the monotonic clock; null = somebody is attached */
  emptySinceMs: number | null = null;
  readonly #deps: { readonly clock: Clock; readonly limits: Pick<GatewayLimits, 'graceMs'> };
  readonly #onOver: (message: string) => void;
  /** the same of before somebody came back; null = nobody did */
  #emptyBeforeMs: number | null = null;
  #cancel: () => void = () => {};

  constructor(
    deps: { readonly clock: Clock; readonly limits: Pick<GatewayLimits, 'graceMs'> },
    onOver: (message: string) => void,
  ) {
    this.#deps = deps;
    this.#onOver = onOver;
  }

  /** The last one has left. */
  begin(): void {
    this.#runFrom(this.#deps.clock.monotonicMs());
  }

  /** Somebody is attached. */
  stop(): void {
    this.#cancel();
    if (this.emptySinceMs !== null) this.#emptyBeforeMs = this.emptySinceMs;
    this.emptySinceMs = null;
  }

  /** Who came back had to go: it goes on as if nobody had come. False: nobody came back, all were there from the beginning. */
  goOn(): boolean {
    if (this.#emptyBeforeMs === null) return false;
    this.#runFrom(this.#emptyBeforeMs);
    return true;
  }

  /** Nobody is attached, nor waited for any more. */
  close(): void {
    this.#cancel();
    this.emptySinceMs ??= this.#deps.clock.monotonicMs();
  }

  #runFrom(sinceMs: number): void {
    const { clock, limits } = this.#deps;
    this.#cancel();
    this.emptySinceMs = sinceMs;
    const leftMs = Math.max(0, sinceMs + limits.graceMs - clock.monotonicMs());
    this.#cancel = clock.after(leftMs, () => {
      this.#onOver(`nobody came back within ${Math.round(limits.graceMs / 60_000)} min`);
    });
  }
}
