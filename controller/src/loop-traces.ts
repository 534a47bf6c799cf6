import type { Span, Tracing } from '#shared/tracing.ts';
import type { LoopEvent, OnLoopEvent } from './loop-events.ts';

/**
 * Spans of what the loop does for a lease that carries a trace, until its box is ready: passes, their commands, the wait as a
 * whole. What it keeps is bounded by the passes that run and the users who wait so.
 */
export function traceLoop(tracing: Tracing): OnLoopEvent {
  const passes = new Map<string, Span>();
  const waits = new Map<string, string>();

  function commandEnded(event: LoopEvent & { type: 'command-ended' }): void {
    const { user, command, tookMs, fault } = event;
    // Long work ends between two passes: it is a part of the wait.
    const parent = passes.get(user)?.traceparent ?? waits.get(user) ?? null;
    if (parent === null) return;
    const attributes = { 'spoonbox.user': user };
    tracing.start({ name: `engine ${command}`, parent, attributes, beganAgoMs: tookMs }).end(fault ?? undefined);
  }

  return (event) => {
    switch (event.type) {
      case 'lease-waits': {
        const { user, trace, sinceMs } = event;
        const attributes = { 'spoonbox.user': user };
        passes.set(user, tracing.start({ name: 'pass', parent: trace, attributes, beganAgoMs: sinceMs }));
        waits.set(user, trace);
        return;
      }
      case 'concluded':
        passes.get(event.user)?.note({ 'spoonbox.phase': event.phase ?? 'forgotten', 'spoonbox.rule': event.rule });
        if (event.phase === null || event.phase === 'absent') waits.delete(event.user);
        return;
      case 'command-ended':
        commandEnded(event);
        return;
      case 'box-ready':
        waits.delete(event.user);
        if (event.trace === null) return;
        tracing
          .start({
            name: 'box ready',
            parent: event.trace,
            attributes: { 'spoonbox.user': event.user },
            beganAgoMs: event.afterMs,
          })
          .end();
        return;
      case 'pass-ended':
        passes.get(event.key)?.end(event.result === 'error' ? 'the pass threw' : undefined);
        passes.delete(event.key);
        return;
      case 'queue-closed':
        for (const span of passes.values()) span.end('the term ended');
        passes.clear();
        waits.clear();
    }
  };
}
