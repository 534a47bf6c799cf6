import type { BoxView } from '#shared/api-schemas.ts';
import { api } from '../api.ts';
import { May } from '../session/may.tsx';
import type { Confirmation } from '../ui/confirm-dialog.tsx';
import { Countdown, RelativeTime } from '../ui/time.tsx';

/** Who holds the box, and who held it in the last minutes. */
export function Leases({ box, onAsk }: { readonly box: BoxView; readonly onAsk: (asked: Confirmation) => void }) {
  const { user, leases, endedLeases } = box;
  const askRelease = (lease: BoxView['leases'][number]): void =>
    onAsk({
      title: `Release ${lease.id}?`,
      body: (
        <p>
          {lease.holder} is told that the {lease.kind} lease has ended, and holds the box no more. The box is kept for
          its idle time.
        </p>
      ),
      doIt: 'Release the lease',
      isDanger: lease.kind !== 'pin',
      async run(signal) {
        const released = await api.releaseLease(user, lease.id, signal);
        return released ? `${lease.id} is released.` : `${lease.id} had ended before.`;
      },
    });
  return (
    <section className="card" aria-label="Leases">
      <h2>
        Leases <span className="count">{leases.length}</span>
      </h2>
      {leases.length === 0 && <p className="quiet">Nobody holds it.</p>}
      <ul className="rows">
        {leases.map((lease) => (
          <li key={lease.id}>
            <span className={`kind kind-${lease.kind}`}>{lease.kind}</span>
            <span className="grow">
              {lease.holder} <code className="quiet">{lease.id}</code>
            </span>
            <span>
              <Countdown until={lease.expiresAt} />
            </span>
            <May be="jobs">
              <button
                type="button"
                className="plain"
                onClick={() => askRelease(lease)}
                aria-label={`Release ${lease.id}`}
              >
                Release
              </button>
            </May>
          </li>
        ))}
        {endedLeases.map((lease) => (
          <li key={`${lease.id} ${lease.endedAt}`} className="quiet">
            <span className={`kind kind-${lease.kind}`}>{lease.kind}</span>
            <span className="grow">
              {lease.holder} <code>{lease.id}</code>
            </span>
            <span>
              {lease.endReason} <RelativeTime at={lease.endedAt} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
