import { useAction } from '../ui/action.ts';
import { Dialog } from '../ui/dialog.tsx';
import type { ProgramAsks } from './asking.ts';

const charsShown = 600;

/** A program in a box may be anybody's: what it wants of the person's own machine is shown first. */
export function AskDialog({
  user,
  asks,
  onAnswer,
}: {
  readonly user: string;
  readonly asks: ProgramAsks;
  readonly onAnswer: (yes: boolean) => void;
}) {
  const act = useAction();
  const allow = async (): Promise<void> => {
    if (asks.is === 'open') window.open(asks.url, '_blank', 'noopener,noreferrer');
    else {
      await act(async () => {
        await navigator.clipboard.writeText(asks.text);
        return 'Copied.';
      });
    }
    onAnswer(true);
  };
  const isCopy = asks.is === 'copy';
  const shown = isCopy ? asks.text : asks.url;
  return (
    <Dialog title={isCopy ? 'Copy this to your clipboard?' : 'Open this page?'} onClose={() => onAnswer(false)}>
      <p>
        {isCopy
          ? `A program in the box of ${user} asks for it.`
          : `The terminal of ${user} shows this link. It leads to `}
        {!isCopy && <strong>{URL.parse(asks.url)?.host}</strong>}
        {!isCopy && '.'}
      </p>
      <pre className="asked">
        {shown.slice(0, charsShown)}
        {shown.length > charsShown && ` … and ${shown.length - charsShown} characters more`}
      </pre>
      <div className="dialog-buttons">
        <button type="button" onClick={() => onAnswer(false)}>
          No
        </button>
        <button type="button" className="primary" onClick={allow}>
          {isCopy ? 'Copy' : 'Open'}
        </button>
      </div>
    </Dialog>
  );
}
