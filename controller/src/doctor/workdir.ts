import { StartError } from '#shared/faults.ts';
import { failure, ok, warning } from '#shared/finding.ts';
import { defaultClassOf } from '../leftovers/leftovers.ts';
import type { Check } from './check.ts';

const name = 'work directory';

export const workdirCheck: Check = {
  name,
  looksAt:
    '`SPOON_AGENT_HOST_WORKDIR` is `SPOON_AGENT_WORKDIR` as the engine sees it: a file that is written here is read there, from inside a one-shot container. So containers can be created, started and removed, too.',
  async run(deps, signal) {
    const engine = await deps.engine();
    const { workdir, hostWorkdir } = deps.config;
    const { image } = defaultClassOf(deps.classes);
    if ((await engine.image(image, signal)).state === 'absent') {
      return [warning(name, `not checked: the image ${image} is not there`, `\`docker pull ${image}\``)];
    }
    try {
      await engine.verifyWorkdir(image, signal);
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      return [failure(name, error.message, 'mend what it says: until then users would get empty homes, or none')];
    }
    return [ok(name, workdir === hostWorkdir ? workdir : `${workdir}, which is ${hostWorkdir} on the host`)];
  },
};
