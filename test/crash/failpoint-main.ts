import { runProcess } from '#shared/run-process.ts';
import { runController } from '../../controller/src/run-controller.ts';
import { runtimeWithFailpoints, statusStoreWithFailpoints } from './failpoints.ts';
import { callOf, journalVariable, ordersVariable, readOrders, writePassing } from './orders.ts';
import { failAtRequests } from './request-failpoints.ts';

/** The controller as it is, but for what is told to it through the environment: it kills itself at a failpoint. */

const ordersFile = fromEnvironment(ordersVariable);
const journalFile = fromEnvironment(journalVariable);
const counts = new Map<string, number>();

/** Orders are read anew at each failpoint: a controller that has healed one crash is told where to die next. */
function passed(failpoint: string, user: string | null): void {
  const call = callOf(failpoint);
  for (const order of readOrders(ordersFile)) {
    if (user === null ? !order.globals.includes(call) : user !== order.user) continue;
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

failAtRequests(passed);
await runProcess('controller', (signal) =>
  runController(signal, {
    runtime: (runtime) => runtimeWithFailpoints(runtime, passed),
    statusStore: (store) => statusStoreWithFailpoints(store, passed),
  }),
);
