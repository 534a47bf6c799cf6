/** How long a test waits for what must come: a limit for what never comes, not a promise of speed. A test has a minute. */
export const patienceMs = 30_000;
