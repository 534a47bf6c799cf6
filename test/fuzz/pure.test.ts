import { test } from 'vitest';
import { pureTargets } from './targets.ts';

/** The short form; the long one is `node test/fuzz/run.ts`. */
const inputs = 400;

test.each(pureTargets)('whatever comes is handled as agreed: $name', async ({ run }) => {
  await run(inputs, 1);
});
