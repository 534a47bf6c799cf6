/** How long a test waits for what must come: a limit for what never comes, not a promise of speed. */
export const patienceMs = 30_000;
