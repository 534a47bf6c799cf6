/** The client of terminals, for browsers and Node: `import { openTerminal } from 'spoonbox/terminal'`. */
export {
  type Closed,
  openTerminal,
  type RemoteTerminal,
  type TerminalAccess,
  terminalClientLimits,
  type TerminalClientLimits,
  type TerminalEvent,
  type TerminalOptions,
} from '#shared/terminal-client.ts';
export type { LinkSocket, OpenSocket } from '#shared/terminal-link.ts';
export type { TerminalSize } from '#shared/terminal-protocol.ts';
