import fc from 'fast-check';

/** One thing that takes input from outside, and what must hold whatever comes. */
export interface Target {
  readonly name: string;
  /** how many of a thousand inputs of a long run are this target's; a connection costs more than a call */
  readonly share: number;
  /** Tries so many inputs. Throws with the smallest one that was not handled as agreed, and with what replays it. */
  run(inputs: number, seed: number): Promise<void>;
}

export interface Opened<Input> {
  /** Throws where the input was not handled as agreed. */
  check(input: Input): void | Promise<void>;
  /** Ends what was opened; throws where something leaked. */
  close?(): Promise<void>;
}

/** No time is promised here: only an input whose handling never ends, or grows out of all proportion, takes this long. */
const hangMs = 10_000;

export function target<Input>(
  name: string,
  share: number,
  inputs: fc.Arbitrary<Input>,
  open: () => Opened<Input> | Promise<Opened<Input>>,
  /** always tried, before all others */
  examples: readonly Input[] = [],
): Target {
  return {
    name,
    share,
    async run(count, seed) {
      const opened = await open();
      const property = fc.asyncProperty(inputs, async (input) => {
        const startedAt = performance.now();
        await opened.check(input);
        const tookMs = performance.now() - startedAt;
        if (tookMs > hangMs) throw new Error(`took ${Math.round(tookMs)} ms: its handling grows out of proportion`);
      });
      try {
        const numRuns = Math.max(count, examples.length);
        await fc.assert(property, { seed, numRuns, examples: examples.map((input) => [input]) });
      } finally {
        await opened.close?.();
      }
    },
  };
}

/** For targets: what must be so, in words. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`not as agreed: ${what}`);
}

/** Throws unless the work succeeds or fails with one of the agreed errors. Null where it failed. */
export function agreed<Value>(work: () => Value, isAgreed: (error: unknown) => boolean): Value | null {
  try {
    return work();
  } catch (error) {
    if (isAgreed(error)) return null;
    throw error;
  }
}
