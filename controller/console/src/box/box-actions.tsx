import type { BoxView } from '#shared/api-schemas.ts';
import { api } from '../api.ts';
import { May } from '../session/may.tsx';
import { goToTerminal } from '../terminal/tabs.ts';
import type { Confirmation } from '../ui/confirm-dialog.tsx';
import { Lost } from './lost.tsx';
import { PinMenu } from './pin-menu.tsx';

/** What an operator can do to a box. Whatever loses something is asked about first, and done to what was shown, or not at all. */
export function BoxActions({ box, onAsk }: { readonly box: BoxView; readonly onAsk: (asked: Confirmation) => void }) {
  const { user, phase } = box;
  const askReap = (): void =>
    onAsk({
      title: `Reap the box of ${user}?`,
      body: <Lost box={box} what="It is stopped and removed now." />,
      doIt: 'Reap the box',
      isDanger: true,
      async run(signal) {
        await api.act(user, { action: 'reap' }, box, signal);
        return `The box of ${user} is being reaped.`;
      },
    });
  const askRecreate = (): void =>
    onAsk({
      title: `Make the box of ${user} again?`,
      body: (
        <Lost box={box} keepsLeases what="It is stopped and removed, and made anew from its class as that is now." />
      ),
      doIt: 'Make it again',
      isDanger: true,
      async run(signal) {
        await api.act(user, { action: 'recreate' }, box, signal);
        return `The box of ${user} is being made again.`;
      },
    });
  const askDelete = (): void =>
    onAsk({
      title: `Delete the box of ${user}?`,
      body: (
        <Lost
          box={box}
          what="It is stopped and removed, and what is known of it is forgotten: its class, its history."
        />
      ),
      doIt: 'Delete the box',
      isDanger: true,
      async run(signal) {
        await api.delete(user, box, signal);
        return `The box of ${user} is being deleted.`;
      },
    });
  return (
    <fieldset className="actions">
      <legend className="visually-hidden">Actions</legend>
      <May be="admin">
        <button type="button" className="primary" onClick={() => goToTerminal(user)}>
          Terminal
        </button>
      </May>
      <May be="jobs">
        <PinMenu user={user} />
      </May>
      <May be="admin">
        <button type="button" onClick={askRecreate} disabled={phase === 'absent'}>
          Recreate
        </button>
        <button type="button" onClick={askReap} disabled={phase === 'absent' && box.leases.length === 0}>
          Reap
        </button>
        <button type="button" className="danger-text" onClick={askDelete}>
          Delete
        </button>
      </May>
    </fieldset>
  );
}
