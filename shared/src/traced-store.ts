import type { BoxStore } from './box-store.ts';
import type { Tracing } from './tracing.ts';

/**
 * A store whose `take` is a span, and whose leases carry it: the passes that make the box, in whichever process, go on with
 * that trace. Where nobody traces it is the store itself.
 */
export function tracedStore(store: BoxStore, tracing: Tracing): BoxStore {
  if (!tracing.isOn) return store;
  return {
    ...store,
    async take(lease) {
      // Who takes a lease again only because it was lost has nobody who waits for a trace.
      if (lease.trace === undefined || lease.trace === null) return await store.take(lease);
      const attributes = { 'spoonbox.user': lease.user, 'spoonbox.lease.kind': lease.kind };
      const span = tracing.start({ name: 'take lease', parent: lease.trace, attributes });
      try {
        const taken = await store.take({ ...lease, trace: span.traceparent });
        if (!taken.ok) span.end(taken.refused);
        return taken;
      } catch (error) {
        span.end('Redis does not answer');
        throw error;
      } finally {
        span.end();
      }
    },
  };
}
