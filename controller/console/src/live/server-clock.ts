import { useEffect, useState } from 'react';

/** Redis' clock minus this machine's, as the last answer told: all times of the API are Redis'. */
let aheadMs = 0;

export function noteServerNow(now: number): void {
  aheadMs = now - Date.now();
}

export function serverNow(): number {
  return Date.now() + aheadMs;
}

/** The server's time, every second: for what counts down. */
export function useServerNow(everyMs = 1_000): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const timer = setInterval(() => setNow(serverNow()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}
