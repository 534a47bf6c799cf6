import { type Finding, ok, warning } from '#shared/finding.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { humanCount } from '#shared/human-count.ts';
import { defaultClassOf } from '../leftovers/leftovers.ts';
import type { Check } from './check.ts';

const check = 'memory';

export const memoryCheck: Check = {
  name: check,
  looksAt:
    "The memory of the engine's machine against the caps of the boxes that run there, and against the cap of each class. Caps that add up to more are a warning: they are limits, not reservations.",
  async run(deps, signal) {
    const engine = await deps.engine();
    const { memoryBytes } = await engine.about(signal);
    const boxes = (await engine.containers(signal)).filter(
      ({ installation, role, state }) => installation === deps.installation && role === 'box' && state === 'running',
    );
    const promised = boxes.reduce((sum, box) => sum + box.memoryBytes, 0);
    const all = humanBytes(memoryBytes);
    const large: Finding[] = [...deps.classes.values()]
      .filter(({ limits }) => limits.memory > memoryBytes)
      .map(({ name, limits }) => {
        const found = `one box of class ${name} may use ${humanBytes(limits.memory)}, and the machine has ${all}`;
        return warning(check, found, 'lower `limits.memory` of the class, or take a larger machine');
      });
    const ofBoxes = `${humanCount(boxes.length, 'running box', 'running boxes')} may use ${humanBytes(promised)} of ${all}`;
    if (promised > memoryBytes) {
      const mend =
        'the kernel ends processes when all use theirs: lower `limits.memory` or `idle`, or take a larger machine';
      return [...large, warning(check, ofBoxes, mend)];
    }
    const { name, limits } = defaultClassOf(deps.classes);
    const more = Math.floor((memoryBytes - promised) / limits.memory);
    return [...large, ok(check, `${ofBoxes}: ${more} more of class ${name} would fit whatever they use`)];
  },
};
