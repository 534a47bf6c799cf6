import { test } from 'vitest';
import { apiTargets } from './targets.ts';

/** The short form; the long one is `node test/fuzz/run.ts`. */
const inputs = 150;

test.each(apiTargets)('whatever comes is handled as agreed: $name', async ({ run }) => {
  await run(inputs, 1);
});
