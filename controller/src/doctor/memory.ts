import type { Limits } from '#shared/config.ts';
import { type Finding, ok, warning } from '#shared/finding.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { humanCount } from '#shared/human-count.ts';
import { defaultClassOf } from '../leftovers/leftovers.ts';
import type { Check } from './check.ts';

const check = 'memory';
const largerMachine = 'or take a larger machine';

export const memoryCheck: Check = {
  name: check,
  looksAt:
    "The memory of the engine's machine against the caps of the boxes that run there, against `SPOON_BOX_MEMORY`, and against the cap of each class. Caps that add up to more are a warning: they are limits, not reservations.",
  async run(deps, signal) {
    const engine = await deps.engine();
    const { memoryBytes } = await engine.about(signal);
    const boxes = (await engine.containers(signal)).filter(
      ({ installation, role, state }) => installation === deps.installation && role === 'box' && state === 'running',
    );
    const { limits } = deps.config;
    const caps = [...deps.classes.values()].map((one) => ({ name: one.name, bytes: one.limits.memory }));
    const wrong = [...budgetAgainst(memoryBytes, limits), ...capsAgainst(memoryBytes, limits, caps)];
    const promised = boxes.reduce((sum, box) => sum + box.memoryBytes, 0);
    const run = humanCount(boxes.length, 'running box', 'running boxes');
    const ofBoxes = `${run} may use ${humanBytes(promised)} of ${humanBytes(memoryBytes)}`;
    if (promised > memoryBytes) {
      const mend = `the kernel ends processes when all use theirs: lower \`limits.memory\` or \`idle\`, set \`SPOON_BOX_MEMORY\`, ${largerMachine}`;
      return [...wrong, warning(check, ofBoxes, mend)];
    }
    const { name, limits: ofDefault } = defaultClassOf(deps.classes);
    const budget = Math.min(memoryBytes, limits.memoryBytes ?? memoryBytes);
    const byMemory = Math.max(0, Math.floor((budget - promised) / ofDefault.memory));
    const more = Math.min(byMemory, Math.max(0, (limits.boxes ?? Number.POSITIVE_INFINITY) - boxes.length));
    return [...wrong, ok(check, `${ofBoxes}: ${more} more of class ${name} would fit whatever they use`)];
  },
};

/** What SPOON_BOX_MEMORY lets in is meant to fit. */
function budgetAgainst(memoryBytes: number, { memoryBytes: budget }: Limits): Finding[] {
  if (budget === null || budget <= memoryBytes) return [];
  const found = `SPOON_BOX_MEMORY lets in boxes of ${humanBytes(budget)}, and the machine has ${humanBytes(memoryBytes)}`;
  return [warning(check, found, `lower it to what the machine can spare, ${largerMachine}`)];
}

function capsAgainst(
  memoryBytes: number,
  { memoryBytes: budget }: Limits,
  caps: readonly { readonly name: string; readonly bytes: number }[],
): Finding[] {
  const mend = 'lower `limits.memory` of the class';
  return caps.flatMap(({ name, bytes }) => {
    const one = `one box of class ${name} may use ${humanBytes(bytes)}`;
    if (budget !== null && bytes > budget) {
      const found = `${one}, and SPOON_BOX_MEMORY is ${humanBytes(budget)}: it never gets a place`;
      return [warning(check, found, `${mend}, or raise SPOON_BOX_MEMORY`)];
    }
    if (bytes <= memoryBytes) return [];
    return [warning(check, `${one}, and the machine has ${humanBytes(memoryBytes)}`, `${mend}, ${largerMachine}`)];
  });
}
