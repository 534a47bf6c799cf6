import { useSyncExternalStore } from 'react';

/** Redis' clock minus this machine's, as the last answer told: all times of the API are Redis'. */
let aheadMs = 0;

export function noteServerNow(now: number): void {
  aheadMs = now - Date.now();
}

export function serverNow(): number {
  return Date.now() + aheadMs;
}

const tickMs = 1_000;
/** One timer for all that counts down: a page of hundreds of boxes has as many of them. */
const waiting = new Set<() => void>();
let timer = 0;
let ticked = serverNow();

/** The server's time, every second. */
export function useServerNow(): number {
  return useSyncExternalStore(onTick, () => ticked);
}

function onTick(listener: () => void): () => void {
  if (waiting.size === 0) {
    tick();
    timer = window.setInterval(tick, tickMs);
  }
  waiting.add(listener);
  return () => {
    waiting.delete(listener);
    if (waiting.size === 0) clearInterval(timer);
  };
}

function tick(): void {
  ticked = serverNow();
  for (const listener of waiting) listener();
}
