import type { z } from 'zod';
import type { BoxView } from '#shared/api-schemas.ts';

export const now = 1_700_000_000_000;

/** A box of alice that is ready and held by nobody, but for `changes`. */
export function aBox(changes: Partial<z.input<typeof BoxView>> = {}): z.input<typeof BoxView> {
  return {
    ...{ user: 'alice', now, phase: 'ready', step: 'active', message: 'in use', ready: true, class: 'default' },
    ...{ containerId: 'c'.repeat(64), readyAt: now - 60_000, until: null, why: [], progress: null, conditions: [] },
    ...{ leases: [], endedLeases: [], sessions: [], desired: null, lastReap: null },
    ...changes,
  };
}
