import { runProcess } from '#shared/run-process.ts';
import { runController } from '../../controller/src/run-controller.ts';
import { runtimeWithFailpoints, statusStoreWithFailpoints } from './failpoints.ts';
import { journalVariable, ordersVariable, readOrders, writePassing } from './orders.ts';

/** The controller as it is, but for what is told to it through the environment: it kills itself at a failpoint. */

const ordersFile = fromEnvironment(ordersVariable);
const journalFile = fromEnvironment(journalVariable);
const counts = new Map<string, number>();

/** Orders are read anew at each failpoint: a controller that has healed one crash is told where to die next. */
function passed(failpoint: string, user: string | null): void {
  const place = failpoint.replace(/^\w+ /, '');
  for (const order of readOrders(ordersFile)) {
    if (user === null ? !order.globals.includes(place) : user !== order.user) continue;
    const key = `${order.id} ${failpoint}`;
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    const died = order.failpoint === failpoint && order.nth === nth;
    writePassing(journalFile, { order: order.id, failpoint, nth, died });
    // Nothing of this process runs after this call: no handler, no other thread.
    if (died) process.kill(process.pid, 'SIGKILL');
  }
}

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

await runProcess('controller', (signal) =>
  runController(signal, {
    runtime: (runtime) => runtimeWithFailpoints(runtime, passed),
    statusStore: (store) => statusStoreWithFailpoints(store, passed),
  }),
);
