import { type ReactNode, useState } from 'react';
import { useAction } from './action.ts';
import { Dialog } from './dialog.tsx';

/** What is asked before something is done that cannot be undone: the children say what is lost. */
export interface Confirmation {
  readonly title: string;
  readonly body: ReactNode;
  /** a verb and its object: `Reap alice's box` */
  readonly doIt: string;
  readonly isDanger: boolean;
  run(signal: AbortSignal): Promise<string>;
}

export function ConfirmDialog({ asked, onClose }: { readonly asked: Confirmation; readonly onClose: () => void }) {
  const act = useAction();
  const [isBusy, setBusy] = useState(false);
  const confirm = async (): Promise<void> => {
    setBusy(true);
    await act(asked.run);
    onClose();
  };
  return (
    <Dialog title={asked.title} onClose={onClose}>
      {asked.body}
      <div className="dialog-buttons">
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" className={asked.isDanger ? 'danger' : 'primary'} disabled={isBusy} onClick={confirm}>
          {asked.doIt}
        </button>
      </div>
    </Dialog>
  );
}
