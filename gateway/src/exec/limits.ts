/** One call on the engine. */
export const callTimeoutMs = 10_000;
