import { EngineError, StartError } from '#shared/faults.ts';
import { failure, type Finding, ok, warning } from '#shared/finding.ts';
import type { HostEngine } from '../runtime/host-port.ts';
import type { Check } from './check.ts';

const name = 'engine';

export const engineCheck: Check = {
  name,
  looksAt:
    'The container engine answers, is Docker 20.10 or newer, lets this process list containers, and its kernel enforces the limits of classes (memory, swap, cpus, pids).',
  async run(deps, signal) {
    let engine: HostEngine;
    try {
      engine = await deps.connect();
    } catch (error) {
      if (!(error instanceof StartError)) throw error;
      return [failure(name, error.message, 'start or upgrade it, or set DOCKER_HOST; boxes that run go on meanwhile')];
    }
    try {
      const { version, unenforced } = await engine.about(signal);
      await engine.containers(signal);
      const found: Finding[] = [ok(name, `Docker ${version} answers, and tells its containers`)];
      if (unenforced.length > 0) {
        const mend =
          'turn the cgroup controllers on at the kernel command line (memory: cgroup_enable=memory swapaccount=1)';
        found.push(warning(name, `its kernel does not enforce limits of ${unenforced.join(', ')}`, mend));
      }
      return found;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      const mend = 'let this process ask for /info and /containers: its socket may be filtered';
      return [failure(name, error.message, mend)];
    }
  },
};
