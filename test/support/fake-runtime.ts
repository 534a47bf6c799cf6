import type { BoxRuntime } from '../../controller/src/runtime/port.ts';
import { fakePort } from './fake-port.ts';

/** A runtime of which only the named methods exist. */
export function fakeRuntime(methods: Partial<BoxRuntime>): BoxRuntime {
  return fakePort<BoxRuntime>(methods);
}
