import type { Route } from '../route.ts';
import type { Tab } from './tabs.ts';

export type TerminalRoute = Extract<Route, { at: 'terminal' }>;

/**
 * The open terminal that an address means. One without a session means the terminal that is open already, if any: it is what the
 * address of a terminal was before the gateway named it, and is still met in the history.
 */
export function tabOfRoute(open: readonly Tab[], { user, session, readOnly }: TerminalRoute): Tab | undefined {
  const fitting = open.filter((tab) => tab.user === user && tab.readOnly === readOnly);
  return fitting.find((tab) => tab.session === session) ?? (session === null ? fitting.at(-1) : undefined);
}
