import { test } from 'vitest';
import { gatewayTargets } from './targets.ts';

/** The short form; the long one is `node test/fuzz/run.ts`. */
const inputs = 150;

test.each(gatewayTargets)('whatever comes is handled as agreed: $name', async ({ run }) => {
  await run(inputs, 1);
});
