/** What the filter takes from a client, and how long it waits for the engine. */
export interface FilterLimits {
  readonly connections: number;
  readonly headBytes: number;
  /** head and body of a request have to be there within it */
  readonly requestWithinMs: number;
  /** how often requests are looked at that are late */
  readonly lookEveryMs: number;
  /** of the body of an exec: commands and environment, which Linux bounds to 2 MiB anyway */
  readonly bodyBytes: number;
  /** above it a body is a large one */
  readonly smallBodyBytes: number;
  /** so many are read, checked and told to the engine at once: together they are what a client can make the filter keep */
  readonly largeBodiesAtOnce: number;
  /** of the body of a start, which says next to nothing */
  readonly startBodyBytes: number;
  /** longer than the gateway waits, so that its own words are the ones that are read */
  readonly engineWithinMs: number;
  readonly engineCallsAtOnce: number;
  readonly answerBytes: number;
  /** of what is logged of a refused path */
  readonly pathLength: number;
  /** a keep-alive connection without a request; longer than Node's clients keep theirs, so that they close first */
  readonly keepAliveMs: number;
  /** how long it is remembered that a container or an exec passed: neither's labels and user ever change */
  readonly rememberMs: number;
  readonly rememberMost: number;
}

export const defaultFilterLimits: FilterLimits = {
  connections: 10_000,
  headBytes: 8 * 1_024,
  requestWithinMs: 10_000,
  lookEveryMs: 1_000,
  bodyBytes: 4 * 1_024 * 1_024,
  smallBodyBytes: 64 * 1_024,
  largeBodiesAtOnce: 16,
  startBodyBytes: 1_024,
  engineWithinMs: 15_000,
  engineCallsAtOnce: 64,
  answerBytes: 4 * 1_024 * 1_024,
  pathLength: 200,
  keepAliveMs: 60_000,
  rememberMs: 60_000,
  rememberMost: 10_000,
};
