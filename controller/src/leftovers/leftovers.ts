import type { BoxClass, BoxClasses } from '#shared/box-class.ts';
import type { BoxStore } from '#shared/box-store.ts';
import { defaultClassName } from '#shared/classes.ts';
import { EngineError, StartError } from '#shared/faults.ts';
import type { ClearBody, ClearReply, LeftoverList } from '#shared/leftover.ts';
import type { Logger } from '#shared/log.ts';
import type { HostEngine } from '../runtime/host-port.ts';
import { clearLeftover } from './clear.ts';
import { digestOf } from './found.ts';
import { namesInTrash } from './job-directories.ts';
import { findLeftover, findLeftovers } from './list.ts';

/** What an earlier worker left, for operators. Both reject with an EngineError where the engine does not answer. */
export interface Leftovers {
  /** Changes nothing. */
  list(signal: AbortSignal): Promise<LeftoverList>;
  /** Rejects with a ProblemError where it is not what was listed, or somebody uses it. `by`: who consents. */
  clear(body: ClearBody, by: string, signal: AbortSignal): Promise<ClearReply>;
}

export interface LeftoversOptions {
  readonly connect: () => Promise<HostEngine>;
  readonly workdir: string;
  readonly hostWorkdir: string;
  readonly classes: BoxClasses;
  readonly store: Pick<BoxStore, 'wish'>;
  readonly log: Logger;
}

export function createLeftovers(options: LeftoversOptions): Leftovers {
  const { workdir, hostWorkdir, classes, store, log } = options;

  const lookWith = (engine: HostEngine) => ({ engine, workdir, hostWorkdir, boxClass: defaultClassOf(classes) });

  return {
    async list(signal) {
      const look = { ...lookWith(await reached(options.connect)), withCheckouts: true };
      const { items, notLooked } = await findLeftovers(look, signal);
      const leftovers = items.map(({ leftover }) => leftover);
      return { digest: digestOf(leftovers), items: leftovers, notLooked: [...notLooked] };
    },
    async clear(body, by, signal) {
      const engine = await reached(options.connect);
      const { image } = defaultClassOf(classes);
      const deps = {
        ...{ engine, store, image, by },
        find: (of: ClearBody, limit: AbortSignal) => findLeftover(lookWith(engine), of, limit),
        thrown: () => namesInTrash(workdir),
      };
      const { kind, name, force = false } = body;
      log.info({ kind, name, force, by }, 'a left-over of before is cleared, as an operator said');
      const reply = await clearLeftover(deps, body, signal);
      log.info({ kind, name, done: reply.done, by }, reply.message);
      return reply;
    },
  };
}

/** Helpers run from its image. */
export function defaultClassOf(classes: BoxClasses): BoxClass {
  const found = classes.get(defaultClassName);
  if (found === undefined) throw new Error(`there is no class ${defaultClassName}`);
  return found;
}

async function reached(connect: () => Promise<HostEngine>): Promise<HostEngine> {
  try {
    return await connect();
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    const fault = { operation: 'connect', kind: 'unreachable', status: null, message: error.message } as const;
    throw new EngineError(fault, { cause: error });
  }
}
