import { humanDuration } from '#shared/human-time.ts';
import type { LoopHealth, ReconcilerView } from '#shared/operator-schemas.ts';
import { RelativeTime } from '../ui/time.tsx';
import { Figure } from './figure.tsx';

/** Who leads, and how the leader's loop does. */
export function Health({ view }: { readonly view: ReconcilerView }) {
  const { leader, loop } = view;
  return (
    <>
      <section className="card" aria-label="Leader">
        <h2>Leader</h2>
        <p>
          {leader.holder === '' ? <strong className="problem">nobody leads</strong> : <code>{leader.holder}</code>}
          {leader.isThis && <span className="quiet"> this process</span>}
        </p>
        <p className="quiet">
          {leader.lastBeatAt === null ? (
            'no beat was heard'
          ) : (
            <>
              last beat <RelativeTime at={leader.lastBeatAt} />
            </>
          )}
        </p>
      </section>
      {loop === null ? (
        <section className="card" aria-label="Loop">
          <h2>Loop</h2>
          <p className="quiet">No leader has told how its loop does.</p>
        </section>
      ) : (
        <LoopCards loop={loop} />
      )}
    </>
  );
}

function LoopCards({ loop }: { readonly loop: LoopHealth }) {
  const { passes, pacer } = loop;
  return (
    <>
      <section className="card" aria-label="Queue">
        <h2>Queue</h2>
        <dl className="numbers">
          <Figure label="wait">{loop.waiting}</Figure>
          <Figure label="in a pass">{loop.processing}</Figure>
          <Figure label="with a time">{loop.scheduled}</Figure>
          <Figure label="longest wait">{msText(loop.longestWaitMs)}</Figure>
        </dl>
      </section>
      <section className="card" aria-label="Passes">
        <h2>Passes, last minute</h2>
        <dl className="numbers">
          <Figure label="passes">{passes.count}</Figure>
          <Figure label="failed">{passes.failed}</Figure>
          <Figure label="half within">{msText(passes.p50Ms)}</Figure>
          <Figure label="99 % within">{msText(passes.p99Ms)}</Figure>
        </dl>
        <p className="quiet">
          {loop.lastResyncAgoMs === null
            ? 'No resync has ended yet.'
            : `Last resync ${humanDuration(loop.lastResyncAgoMs)} ago${loop.lastResyncTookMs === null ? '' : `, took ${msText(loop.lastResyncTookMs)}`}.`}
        </p>
      </section>
      <section className={loop.amnesty === null ? 'card' : 'card card-warn'} aria-label="Amnesty and pacer">
        <h2>Amnesty and pacer</h2>
        <p>
          {loop.amnesty === null
            ? 'Redis is trusted to know who needs a box.'
            : `Nobody is taken for idle: ${loop.amnesty}`}
        </p>
        <dl className="numbers">
          <Figure label="idle reaps, last minute">{pacer.lastMinute}</Figure>
          <Figure label="most in a minute">{pacer.mostPerMinute}</Figure>
          <Figure label="next may be in">{msText(pacer.waitMs)}</Figure>
        </dl>
      </section>
    </>
  );
}

function msText(ms: number): string {
  return ms < 1_000 ? `${ms < 10 ? ms.toFixed(1).replace(/\.0$/, '') : Math.round(ms)} ms` : humanDuration(ms);
}
