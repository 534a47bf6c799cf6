import type { Confirmation } from '../ui/confirm-dialog.tsx';
import { closeTab, type Tab } from './tabs.ts';

/** What is asked before a terminal is closed whose shell would end. */
export function askToClose({ id, user }: Tab): Confirmation {
  return {
    title: `Close the terminal of ${user}?`,
    body: <p>Nobody else is at it: its shell ends, and with it what runs there.</p>,
    doIt: 'End the shell',
    isDanger: true,
    async run() {
      closeTab(id);
      return '';
    },
  };
}

/** The same for all of them, before somebody logs out. */
export function askToLeave(holding: readonly Tab[], leave: (signal: AbortSignal) => Promise<void>): Confirmation {
  return {
    title: 'Log out?',
    body: (
      <p>
        {holding.length === 1 ? 'A terminal is open' : `${holding.length} terminals are open`} here, of{' '}
        {[...new Set(holding.map(({ user }) => user))].join(', ')}. Nobody else is there: the shells end, and with them
        what runs there.
      </p>
    ),
    doIt: 'Log out and end the shells',
    isDanger: true,
    async run(signal) {
      await leave(signal);
      return '';
    },
  };
}
