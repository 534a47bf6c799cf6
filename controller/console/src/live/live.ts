import { systemClock } from '#shared/clock.ts';
import { api, isLoggedOut, wordsOf } from '../api.ts';
import { loggedOut } from '../session/session.ts';
import { createStore, type Store } from '../store.ts';
import { type Boxes, createBoxesWatched } from './boxes.ts';
import { noteServerNow } from './server-clock.ts';
import { type Connection, type StayConnected, stayConnected } from './stay-connected.ts';

/** All boxes as they are, and how the watch that tells of them does. */
export interface Live {
  readonly boxes: Boxes;
  readonly isSynced: boolean;
}

export const live: Store<Live> = createStore<Live>({ boxes: new Map(), isSynced: false });
export const connection: Store<Connection> = createStore<Connection>({ is: 'connecting' });

/** A burst of events is one change for whoever looks. */
const gatherMs = 40;

export async function watchBoxes(signal: AbortSignal): Promise<void> {
  const watched = createBoxesWatched();
  let isDue = false;
  const tell = (): void => {
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      live.set({ boxes: watched.boxes(), isSynced: watched.isSynced });
    }, gatherMs);
  };
  await reconnecting(
    {
      async connect(opened, streamSignal) {
        watched.began(watched.resumeFrom);
        for await (const event of api.watch(null, watched.resumeFrom, streamSignal)) {
          opened();
          if (event.type === 'box') noteServerNow(event.box.now);
          watched.take(event);
          tell();
        }
      },
      on: (state) => connection.set(state),
    },
    signal,
  );
}

/** A stream of the API that comes back by itself; a session that is over shows the log-in page. */
export async function reconnecting(stream: Pick<StayConnected, 'connect' | 'on'>, signal: AbortSignal): Promise<void> {
  try {
    await stayConnected(
      { ...stream, isFinal: isLoggedOut, wordsOf, onHope, clock: systemClock, random: Math.random },
      signal,
    );
  } catch (error) {
    if (!isLoggedOut(error)) throw error;
    loggedOut();
  }
}

/** The network is there, or somebody looks again. */
function onHope(hope: () => void): () => void {
  const seen = (): void => {
    if (document.visibilityState === 'visible') hope();
  };
  addEventListener('online', hope);
  addEventListener('retry-now', hope);
  document.addEventListener('visibilitychange', seen);
  return () => {
    removeEventListener('online', hope);
    removeEventListener('retry-now', hope);
    document.removeEventListener('visibilitychange', seen);
  };
}

/** For the button of who does not want to wait. */
export function retryNow(): void {
  dispatchEvent(new Event('retry-now'));
}
