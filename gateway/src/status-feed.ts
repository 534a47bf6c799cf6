import type { BoxStore } from '#shared/box-store.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';

/** One subscription to status changes for the whole gateway, handed out by user. A lost message costs a delay, nothing else. */
export interface StatusFeed {
  watch(user: UserName, onChange: () => void): () => void;
  close(): Promise<void>;
}

/** `onGap` is called after every (re)connect: what happened before may have been missed. */
export async function openStatusFeed(store: BoxStore, log: Logger, onGap: () => void): Promise<StatusFeed> {
  const watchers = new Map<UserName, Set<() => void>>();
  const tell = (user: UserName): void => {
    for (const onChange of watchers.get(user) ?? []) onChange();
  };
  // A session's own record changes nothing that a session waits for.
  const onUser = (user: UserName, when: 'now' | 'later'): void => {
    if (when === 'now') tell(user);
  };
  const onLost = (): void => {
    for (const user of watchers.keys()) tell(user);
    onGap();
  };
  let stop = async (): Promise<void> => {};
  try {
    stop = await store.subscribe('status', onUser, onLost);
  } catch (error) {
    log.warn({ error }, 'status changes cannot be subscribed to yet; until Redis answers they are polled for');
  }
  return {
    watch(user, onChange) {
      const set = watchers.get(user) ?? new Set();
      watchers.set(user, set);
      set.add(onChange);
      return () => {
        set.delete(onChange);
        if (set.size === 0 && watchers.get(user) === set) watchers.delete(user);
      };
    },
    close: () => stop(),
  };
}
