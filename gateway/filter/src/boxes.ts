import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { type InstallationId, label } from '#shared/identity.ts';
import { ShortMemory } from '#shared/short-memory.ts';
import { readAnswer } from './answers.ts';
import type { Engine } from './engine.ts';
import type { FilterLimits } from './limits.ts';
import { refused } from './refused.ts';

/** A container that passed. */
export interface Box {
  readonly id: string;
  /** as the engine has it; '' = the image's */
  readonly user: string;
}

/**
 * Which containers and execs are let through: boxes with the label of this installation, and execs in them that are neither
 * privileged nor another user's. The engine is asked, by the whole id.
 *
 * What passed is remembered for a short time: an id is never used twice, and its labels, its user and an exec's rights never
 * change. What did not pass is not remembered.
 */
export class Boxes {
  readonly #engine: Engine;
  readonly #installation: InstallationId;
  readonly #clock: Clock;
  readonly #limits: FilterLimits;
  readonly #boxes: ShortMemory<Box>;
  readonly #execs: ShortMemory<true>;

  constructor(deps: { engine: Engine; installation: InstallationId; clock: Clock; limits: FilterLimits }) {
    this.#engine = deps.engine;
    this.#installation = deps.installation;
    this.#clock = deps.clock;
    this.#limits = deps.limits;
    this.#boxes = new ShortMemory(deps.clock, deps.limits.rememberMost);
    this.#execs = new ShortMemory(deps.clock, deps.limits.rememberMost);
  }

  /** Throws a Refused where it is no box of this installation. */
  async box(api: string, id: string, signal: AbortSignal): Promise<Box> {
    return this.#boxes.get(id) ?? (await this.#look(api, id, signal)).box;
  }

  /** The same, always looked at: the engine's own words on the box. */
  async inspect(api: string, id: string, signal: AbortSignal): Promise<string> {
    return (await this.#look(api, id, signal)).answer;
  }

  /** Throws a Refused where the exec is not in such a box, or may do more than one that was made here. */
  async exec(api: string, id: string, signal: AbortSignal): Promise<void> {
    if (this.#execs.get(id)) return;
    await this.inspectExec(api, id, signal);
  }

  /** The same, always looked at. */
  async inspectExec(api: string, id: string, signal: AbortSignal): Promise<string> {
    const since = this.#clock.monotonicMs();
    const answer = await this.#engine.ask({ method: 'GET', path: `/v${api}/exec/${id}/json`, body: null }, signal);
    const exec = readAnswer(EngineExec, answer);
    const box = await this.box(api, exec.ContainerID, signal);
    const { privileged, user } = exec.ProcessConfig;
    if (exec.ID !== id || privileged || (user !== '' && user !== box.user)) {
      throw refused('this exec', 'it is privileged or of another user');
    }
    this.#execs.keep(id, true, since, this.#limits.rememberMs);
    return answer;
  }

  /** It was made here a moment ago. */
  made(exec: string): void {
    this.#execs.keep(exec, true, this.#clock.monotonicMs(), this.#limits.rememberMs);
  }

  async #look(api: string, id: string, signal: AbortSignal): Promise<{ box: Box; answer: string }> {
    const since = this.#clock.monotonicMs();
    const answer = await this.#engine.ask(
      { method: 'GET', path: `/v${api}/containers/${id}/json`, body: null },
      signal,
    );
    const { Id, Config } = readAnswer(EngineContainer, answer);
    const isOurs = Config.Labels[label.installation] === this.#installation && Config.Labels[label.role] === 'box';
    if (Id !== id || !isOurs) throw refused('this container', `it is no box of installation ${this.#installation}`);
    const box = { id, user: Config.User };
    this.#boxes.keep(id, box, since, this.#limits.rememberMs);
    return { box, answer };
  }
}

const EngineContainer = z.object({
  Id: z.string(),
  Config: z.object({
    User: z.string(),
    Labels: z
      .record(z.string(), z.string())
      .nullable()
      .transform((labels) => labels ?? {}),
  }),
});

const EngineExec = z.object({
  ID: z.string(),
  ContainerID: z.string().regex(/^[0-9a-f]{64}$/),
  ProcessConfig: z.object({ privileged: z.boolean().default(false), user: z.string().default('') }),
});
