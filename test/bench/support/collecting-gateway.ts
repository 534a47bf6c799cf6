import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** A gateway that collects its garbage when it is told to (SIGUSR2), so that what it keeps can be weighed. */

setFlagsFromString('--expose-gc');
process.on('SIGUSR2', () => void runInNewContext('gc()'));
await import('../../../gateway/src/main.ts');
