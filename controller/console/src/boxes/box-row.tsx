import { memo } from 'react';
import type { BoxView } from '#shared/api-schemas.ts';
import { hrefOf } from '../route.ts';
import { May } from '../session/may.tsx';
import { goToTerminal } from '../terminal/tabs.ts';
import { PhaseBadge } from '../ui/phase-badge.tsx';
import { Countdown } from '../ui/time.tsx';
import { UsageSparklines } from '../ui/usage-sparklines.tsx';
import { holdersText } from './holders.ts';

/** One box of many. The link of its name is what the keys move the focus to. */
export const BoxRow = memo(function BoxRow({
  id,
  box,
  isChosen,
  onChoose,
}: {
  readonly id: string;
  readonly box: BoxView;
  readonly isChosen: boolean;
  readonly onChoose: (user: string) => void;
}) {
  const { user, phase, step, message, until } = box;
  const holders = holdersText(box);
  return (
    <tr className={isChosen ? 'chosen' : undefined}>
      <th scope="row">
        <a id={id} href={hrefOf({ at: 'box', user })} onFocus={() => onChoose(user)}>
          {user}
        </a>
        {box.class !== null && box.class !== 'default' && <span className="quiet"> {box.class}</span>}
      </th>
      <td className="cell-phase">
        <PhaseBadge phase={phase} step={step} />
        {phase !== 'ready' && message !== '' && <span className="quiet message">{message}</span>}
      </td>
      <td className="cell-holders">{holders === '' ? <span className="quiet">nobody</span> : holders}</td>
      <td className="cell-until">{until === null ? <span className="quiet">–</span> : <Countdown until={until} />}</td>
      <td className="cell-usage">
        <UsageSparklines user={user} />
      </td>
      <td className="cell-act">
        <May be="admin">
          <button
            type="button"
            className="plain"
            aria-label={`Terminal in the box of ${user}`}
            title="Terminal (t)"
            onFocus={() => onChoose(user)}
            onClick={() => goToTerminal(user)}
          >
            &gt;_
          </button>
        </May>
      </td>
    </tr>
  );
});
