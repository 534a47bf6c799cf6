import { runProcess } from '#shared/run-process.ts';
import { runController } from './run-controller.ts';

await runProcess('controller', (signal) => runController(signal));
