import type { Clock } from '#shared/clock.ts';
import { type BackoffLimits, backoffMs } from '#shared/terminal-retry.ts';

/** How a stream from the controller does. */
export type Connection =
  | { readonly is: 'connecting' }
  | { readonly is: 'open' }
  | { readonly is: 'lost'; readonly why: string; readonly attempt: number; readonly retryInMs: number };

export interface StayConnected {
  /** One stream, to its end; `opened` as soon as anything came of it. */
  connect(opened: () => void, signal: AbortSignal): Promise<void>;
  on(connection: Connection): void;
  /** No other attempt can mend this. */
  isFinal(error: unknown): boolean;
  wordsOf(error: unknown): string;
  /** Calls back when there is a reason not to wait: the network is there again. Answers how to stop that. */
  onHope(hope: () => void): () => void;
  readonly clock: Clock;
  readonly random: () => number;
}

const backoff: BackoffLimits = { minMs: 500, maxMs: 15_000 };
/** A stream that lasted for less does not make the next wait short again. */
const stableAfterMs = 5_000;

/** One stream after the other until the signal aborts; throws what is final. */
export async function stayConnected(how: StayConnected, signal: AbortSignal): Promise<void> {
  let attempt = 0;
  how.on({ is: 'connecting' });
  while (!signal.aborted) {
    let openedAtMs: number | null = null;
    let why = 'the controller ended the connection';
    try {
      await how.connect(() => {
        if (openedAtMs !== null) return;
        openedAtMs = how.clock.monotonicMs();
        how.on({ is: 'open' });
      }, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (how.isFinal(error)) throw error;
      why = how.wordsOf(error);
    }
    if (signal.aborted) return;
    if (openedAtMs !== null && how.clock.monotonicMs() - openedAtMs >= stableAfterMs) attempt = 0;
    const retryInMs = backoffMs(attempt, backoff, how.random);
    attempt += 1;
    how.on({ is: 'lost', why, attempt, retryInMs });
    await waited(how, retryInMs, signal);
  }
}

function waited(how: StayConnected, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      stopHoping();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const cancel = how.clock.after(ms, end);
    const stopHoping = how.onHope(end);
    signal.addEventListener('abort', end, { once: true });
  });
}
