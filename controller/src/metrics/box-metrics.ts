import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { UserName } from '#shared/identity.ts';
import { longSeconds, shortSeconds } from '#shared/metrics.ts';
import { DrainCause, Phase } from '#shared/status.ts';
import type { LoopEvent } from '../loop-events.ts';
import { distrustCauses } from '../reconcile/trust.ts';

/** What becomes of the boxes, as the leader's passes conclude it; a process that does not lead has no boxes. */
export function createBoxMetrics(registry: Registry): (event: LoopEvent) => void {
  const registers = [registry];
  const phases = new Map<UserName, Phase>();
  const counts = new Map<Phase, number>(Phase.options.map((phase) => [phase, 0]));

  new Gauge({
    name: 'spoonbox_boxes',
    help: 'Users by the phase of their box, as the last pass of each concluded.',
    ...{ labelNames: ['phase'] as const, registers },
    collect() {
      for (const [phase, count] of counts) this.set({ phase }, count);
    },
  });
  const ready = new Histogram({
    name: 'spoonbox_box_ready_seconds',
    help: 'From the lease that asked for a box, or the loss of one that was held, to its readiness. It holds the time of a drain or pause in between.',
    ...{ registers, buckets: longSeconds },
  });
  const reaps = new Counter({
    ...{ name: 'spoonbox_reaps_total', help: 'Boxes that were stopped and removed.', registers },
    labelNames: ['cause'] as const,
  });
  const refused = new Counter({
    name: 'spoonbox_reaps_refused_total',
    help: 'Reaps that Redis refused when they were to be committed: somebody needs the box (still-wanted), or Redis is not trusted (untrusted).',
    ...{ labelNames: ['why'] as const, registers },
  });
  const stale = new Counter({
    name: 'spoonbox_commits_refused_total',
    help: 'Commits that were refused: another pass, another leader or a new mode of the reconciler was first.',
    ...{ labelNames: ['why'] as const, registers },
  });
  const paced = new Counter({
    name: 'spoonbox_reaps_paced_total',
    help: 'Boxes whose idle reap had to wait for its turn.',
    registers,
  });
  const amnesties = new Counter({
    name: 'spoonbox_amnesties_total',
    help: 'How often Redis was not trusted to know who needs a box, and every running box was granted its full time.',
    ...{ labelNames: ['cause'] as const, registers },
  });
  let hasAmnesty = false;
  new Gauge({
    ...{
      name: 'spoonbox_amnesty',
      help: '1 while boxes are being granted time because Redis is not trusted.',
      registers,
    },
    collect() {
      this.set(hasAmnesty ? 1 : 0);
    },
  });
  const commands = new Histogram({
    name: 'spoonbox_commands_seconds',
    help: 'What passes did to boxes, stops and pulls (once for each user who waits) included: how long it took, and how it ended.',
    ...{ labelNames: ['command', 'result'] as const, registers, buckets: longSeconds },
  });
  const dropped = new Counter({
    name: 'spoonbox_commands_dropped_total',
    help: 'Commands that were not executed because their commit had taken too long.',
    registers,
  });
  const resyncs = new Histogram({
    name: 'spoonbox_resync_seconds',
    help: 'How long a look at everything took: one list of containers, and the users of Redis.',
    ...{ registers, buckets: shortSeconds },
  });
  const resyncsFailed = new Counter({
    ...{ name: 'spoonbox_resyncs_failed_total', help: 'Looks at everything that failed.', registers },
  });

  // A series that begins with its first event cannot show that event as an increase.
  for (const cause of DrainCause.options) reaps.inc({ cause }, 0);
  for (const cause of distrustCauses) amnesties.inc({ cause }, 0);
  for (const why of ['still-wanted', 'untrusted']) refused.inc({ why }, 0);
  for (const why of ['stale', 'not-leader']) stale.inc({ why }, 0);

  function conclude(user: UserName, phase: Phase | null): void {
    const before = phases.get(user);
    if (before === phase) return;
    if (before !== undefined) counts.set(before, (counts.get(before) ?? 0) - 1);
    if (phase === null) phases.delete(user);
    else {
      phases.set(user, phase);
      counts.set(phase, (counts.get(phase) ?? 0) + 1);
    }
  }

  function clear(): void {
    phases.clear();
    for (const phase of counts.keys()) counts.set(phase, 0);
  }

  return (event) => {
    switch (event.type) {
      case 'concluded':
        conclude(event.user, event.phase);
        return;
      case 'box-ready':
        ready.observe(event.afterMs / 1_000);
        return;
      case 'reap-done':
        reaps.inc({ cause: event.cause });
        return;
      case 'commit-refused':
        if (event.refused === 'still-wanted' || event.refused === 'untrusted') refused.inc({ why: event.refused });
        else stale.inc({ why: event.refused });
        return;
      case 'reap-paced':
        paced.inc();
        return;
      case 'amnesty-began':
        hasAmnesty = true;
        amnesties.inc({ cause: event.cause });
        return;
      case 'amnesty-ended':
        hasAmnesty = false;
        return;
      case 'command-ended':
        commands.observe({ command: event.command, result: event.fault ?? 'ok' }, event.tookMs / 1_000);
        return;
      case 'command-dropped':
        dropped.inc();
        return;
      case 'resynced':
        resyncs.observe(event.tookMs / 1_000);
        // Whoever is known no more (Redis was emptied, say) has no pass that says so.
        if (phases.size > event.users.size) {
          for (const user of phases.keys()) if (!event.users.has(user)) conclude(user, null);
        }
        return;
      case 'resync-failed':
        resyncsFailed.inc();
        return;
      case 'leading':
        if (event.leads) return;
        hasAmnesty = false;
        clear();
    }
  };
}
