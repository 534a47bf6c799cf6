import { join } from 'node:path';
import { runForeground } from './machine/foreground.ts';
import { root } from './machine/places.ts';
import { runScript } from './machine/script.ts';
import { prepareTestMachine } from './machine/test-machine.ts';

await runScript('npm run proof', async ({ signal }) => {
  const args = [join(root, 'test/proof/run.ts'), ...process.argv.slice(2)];
  if (args.includes('--help')) return await runForeground(process.execPath, args, process.env, signal);
  const machine = await prepareTestMachine(true, signal);
  try {
    return await runForeground(process.execPath, args, machine.env, signal);
  } finally {
    await machine.release();
  }
});
