import type { BoxStore } from '#shared/box-store.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';

/** `null`: messages may have been lost, so anything may have changed. */
export type OnChange = (user: UserName | null) => void;

/**
 * Whose box may have changed: one subscription to the store for the whole process, however many requests wait or watch.
 * A hint, never the truth: who is told reads again, and who waits also looks by itself from time to time.
 */
export interface Changes {
  start(): Promise<void>;
  /** The returned function ends it. */
  listen(onChange: OnChange): () => void;
  stop(): Promise<void>;
}

export function createChanges(store: BoxStore, log: Logger): Changes {
  const listeners = new Set<OnChange>();
  const ends: (() => Promise<void>)[] = [];
  const tell: OnChange = (user) => {
    for (const listener of listeners) listener(user);
  };
  return {
    async start() {
      for (const what of ['status', 'wake'] as const) {
        try {
          ends.push(await store.subscribe(what, tell, () => tell(null)));
        } catch (error) {
          // The listener stands, and the connection subscribes for it at its next start.
          log.warn({ error, what }, 'subscribing failed; it is done again once Redis answers');
        }
      }
    },
    listen(onChange) {
      listeners.add(onChange);
      return () => {
        listeners.delete(onChange);
      };
    },
    async stop() {
      listeners.clear();
      for (const end of ends.splice(0)) {
        await end().catch((error: unknown) => log.debug({ error }, 'ending a subscription failed'));
      }
    },
  };
}
