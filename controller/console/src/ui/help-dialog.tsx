import { Dialog } from './dialog.tsx';

const keys: readonly (readonly [keys: readonly string[], does: string])[] = [
  [['/'], 'filter the boxes'],
  [['↓', '↑', 'j', 'k'], 'the next box, the one before'],
  [['Enter'], 'open the box'],
  [['t'], 'a terminal in it'],
  [['n'], 'start a box'],
  [['b'], 'all boxes'],
  [['r'], 'the reconciler'],
  [['Esc'], 'clear the filter; close a dialog'],
  [['?'], 'this help'],
];

export function HelpDialog({ onClose }: { readonly onClose: () => void }) {
  return (
    <Dialog title="Keys" onClose={onClose}>
      <dl className="keys">
        {keys.map(([names, does]) => (
          <div key={does}>
            <dt>
              {names.map((name) => (
                <kbd key={name}>{name}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p className="quiet">
        In a terminal all keys are the terminal's; <kbd>Ctrl</kbd>+<kbd>Shift</kbd>+<kbd>X</kbd> leaves it for the page.
      </p>
      <div className="dialog-buttons">
        <button type="button" className="primary" onClick={onClose}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
