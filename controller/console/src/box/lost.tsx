import type { BoxView } from '#shared/api-schemas.ts';
import { holdersText } from '../boxes/holders.ts';

/** What is lost, and what is not, in the words of this very box. */
export function Lost({
  box,
  what,
  keepsLeases = false,
}: {
  readonly box: BoxView;
  readonly what: string;
  readonly keepsLeases?: boolean;
}) {
  const { leases, sessions, user } = box;
  return (
    <div className="lost">
      <p>{what}</p>
      <ul>
        {leases.length > 0 && !keepsLeases && <li>Ends who holds it: {holdersText(box)}.</li>}
        {leases.length > 0 && keepsLeases && <li>Who holds it waits for the new one: {holdersText(box)}.</li>}
        {sessions.length > 0 && (
          <li>
            Ends {sessions.length === 1 ? 'the terminal that is' : `${sessions.length} terminals that are`} open, and
            whatever runs in the box.
          </li>
        )}
        <li>Loses everything outside the home: installed packages, /tmp, what runs.</li>
        <li>
          <strong>Only the home of {user} survives.</strong>
        </li>
      </ul>
    </div>
  );
}
