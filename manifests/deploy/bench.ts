import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runForeground } from './machine/foreground.ts';
import { root } from './machine/places.ts';
import { Refusal } from './machine/refusal.ts';
import { runScript } from './machine/script.ts';
import { say } from './machine/steps.ts';
import { prepareTestMachine } from './machine/test-machine.ts';

const dir = join(root, 'test/bench');

await runScript('npm run bench', async ({ signal }) => {
  const [name, ...given] = process.argv.slice(2);
  // Without `--`, npm takes the flag for one of its own and leaves only the file's name.
  const args = process.env.npm_config_json === 'true' && !given.includes('--json') ? ['--json', ...given] : given;
  const known = existsSync(dir)
    ? readdirSync(dir)
        .filter((file) => file.endsWith('.ts'))
        .map((file) => file.slice(0, -'.ts'.length))
    : [];
  if (name === undefined || name.startsWith('-')) {
    say(`Usage: npm run bench NAME [--json FILE]\n\nBenchmarks: ${known.join(', ') || 'none yet'}`);
    return 0;
  }
  if (!known.includes(name))
    throw new Refusal(`there is no benchmark ${name}: choose from ${known.join(', ') || 'none yet'}`);
  const machine = await prepareTestMachine(true, signal);
  try {
    return await runForeground(process.execPath, [join(dir, `${name}.ts`), ...args], machine.env, signal);
  } finally {
    await machine.release();
  }
});
