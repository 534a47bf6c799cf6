import type { Random } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { SimProcess } from './sim-process.ts';

/** What becomes of one call. The effect of a `lost-after` happens, and that of an error that comes `after` it; others do not. */
export type Fate =
  | { readonly is: 'ok' }
  | { readonly is: 'slow'; readonly byMs: number }
  | { readonly is: 'lost-before' }
  | { readonly is: 'lost-after' }
  | { readonly is: 'injected'; readonly after: boolean; readonly error: () => Error };

/** How calls of one process fare on their way: drawn anew for each. */
export interface Weather {
  /** null = the other side cannot be reached at all */
  fate(operation: string): Fate | null;
}

/**
 * The way from one process to a service. Every answer takes time, so two processes really interleave at every await.
 */
export class Link {
  private readonly scheduler: Scheduler;
  private readonly process: SimProcess;
  private readonly random: Random;
  private readonly weather: Weather;
  private readonly lostError: (operation: string) => Error;
  private readonly giveUpMs: number;

  constructor(options: {
    scheduler: Scheduler;
    process: SimProcess;
    random: Random;
    weather: Weather;
    /** what the caller is told when no answer comes */
    lostError: (operation: string) => Error;
    /** when it is told so */
    giveUpMs: number;
  }) {
    this.scheduler = options.scheduler;
    this.process = options.process;
    this.random = options.random;
    this.weather = options.weather;
    this.lostError = options.lostError;
    this.giveUpMs = options.giveUpMs;
  }

  /** `tookMs` is how long the service itself needs; `effect` happens at its end, whoever still lives then. */
  call<Value>(operation: string, tookMs: number, effect: () => Value | Promise<Value>): Promise<Value> {
    const { scheduler, process, random } = this;
    const wayMs = random.next() * 2;
    const fate = this.weather.fate(operation);
    return new Promise<Value>((resolve, reject) => {
      const answer = (delayMs: number, run: () => void): void => {
        scheduler.after(delayMs, () => process.enter(run));
      };
      if (fate === null || fate.is === 'lost-before') {
        const delayMs = fate === null ? 1 : random.pick([1, this.giveUpMs]);
        answer(delayMs, () => reject(this.lostError(operation)));
        return;
      }
      if (fate.is === 'injected' && !fate.after) {
        answer(2 * wayMs, () => reject(fate.error()));
        return;
      }
      const thereMs = wayMs + tookMs * (0.5 + random.next()) + (fate.is === 'slow' ? fate.byMs : 0);
      scheduler.after(thereMs, () => {
        const done = new Promise<Value>((give) => give(effect()));
        done.then(
          (value) => {
            if (fate.is === 'lost-after')
              answer(random.pick([1, this.giveUpMs]), () => reject(this.lostError(operation)));
            else if (fate.is === 'injected') answer(wayMs, () => reject(fate.error()));
            else answer(wayMs, () => resolve(value));
          },
          (error: unknown) => answer(wayMs, () => reject(error)),
        );
      });
    });
  }
}

/** The caller hears the reason at once; what was asked for goes on. */
export function orAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      work.catch(() => {});
      reject(signal.reason);
      return;
    }
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
