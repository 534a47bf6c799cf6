import { session } from './session.ts';

/** What others see of who uses this page: the holder of a pin, a viewer of a terminal. One line of at most 64 characters. */
export function whoIsHere(): string {
  const state = session.get();
  const name = state.is === 'in' ? state.who.name : '';
  const line = name
    .replaceAll(/\p{Cc}/gu, ' ')
    .trim()
    .slice(0, 50);
  return line.endsWith('console)') ? line : `${line} (console)`.trim();
}
