import type { ProgramAsks } from './asking.ts';

/** A program wants something: one line above the screen, which takes no key and no focus from whoever types. */
export function AskNote({
  user,
  wanted,
  onLook,
  onNo,
}: {
  readonly user: string;
  readonly wanted: ProgramAsks | null;
  readonly onLook: () => void;
  readonly onNo: () => void;
}) {
  return (
    <div className="terminal-notes" role="status" aria-live="polite">
      {wanted?.is === 'copy' && (
        <p className="note">
          A program in the box of {user} wants to copy {wanted.text.length} characters to your clipboard.
          <button type="button" onClick={onLook}>
            Show
          </button>
          <button type="button" className="plain" onClick={onNo}>
            No
          </button>
        </p>
      )}
    </div>
  );
}
