import { vi } from 'vitest';
import { patienceMs } from './support/patience.ts';

/** Its own limit is a second, which is less than a busy machine takes to start one process. That of `expect.poll` is in the config. */
const { waitFor } = vi;
vi.waitFor = (callback, options) =>
  waitFor(callback, typeof options === 'number' ? options : { timeout: patienceMs, ...options });
