import { ok, warning } from '#shared/finding.ts';
import type { LeftoverKind } from '#shared/leftover.ts';
import { humanCount } from '#shared/human-count.ts';
import { defaultClassOf } from '../leftovers/leftovers.ts';
import { findLeftovers } from '../leftovers/list.ts';
import type { Check } from './check.ts';

const check = 'left-overs';
const words: Readonly<Record<LeftoverKind, readonly [one: string, several: string]>> = {
  'terminal-container': ['terminal container', 'terminal containers'],
  'unlabelled-box': ['box that no installation made', 'boxes that no installation made'],
  'job-directory': ['directory of a job', 'directories of jobs'],
  'dead-checkout': ['dead checkout', 'dead checkouts'],
};

export const leftoversCheck: Check = {
  name: check,
  looksAt:
    'Containers and directories that the worker of before left (`spoonbox cleanup --legacy` lists them; checkouts in homes only there).',
  async run(deps, signal) {
    const { workdir, hostWorkdir } = deps.config;
    const at = { engine: await deps.engine(), boxClass: defaultClassOf(deps.classes), withCheckouts: false };
    const { items } = await findLeftovers({ ...at, workdir, hostWorkdir }, signal);
    if (items.length === 0) return [ok(check, 'none')];
    const counts = Map.groupBy(items, ({ leftover }) => leftover.kind);
    const told = [...counts].map(([kind, some]) => humanCount(some.length, ...words[kind]));
    return [warning(check, told.join(', '), '`spoonbox cleanup --legacy` lists them, and changes nothing')];
  },
};
