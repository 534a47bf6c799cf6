import type { Clock } from '#shared/clock.ts';
import { EngineError } from '#shared/faults.ts';
import { type InstallationId, UserName } from '#shared/identity.ts';
import type { BoxClasses } from '#shared/box-class.ts';
import { type HomeUsage, homeViewOf, quotaOf } from '#shared/home-usage.ts';
import type { BoxStats } from '#shared/operator-schemas.ts';
import type { ContainerView } from '../box/observed.ts';
import { isLive, isOurs, ownershipOf } from '../box/ownership.ts';
import type { BoxRuntime, ContainerUsage } from '../runtime/port.ts';
import { eachAtOnce } from '../sweep/each.ts';

export const statsLimits = {
  /** a box is read at most this often, whoever asks */
  everyMs: 2_000,
  /** a reading that is older is nothing to compare with */
  forgottenAfterMs: 15_000,
  /** boxes that are read at once */
  readsAtOnce: 8,
} as const;

interface Box {
  readonly user: UserName;
  readonly container: ContainerView;
}

/** What the engine tells. */
type Uses = Omit<BoxStats, 'home'>;

/** What is known of homes; a look that is due follows, and nobody waits for it. */
export interface HomesPort {
  all(): Promise<readonly HomeUsage[]>;
  of(user: UserName): Promise<HomeUsage | null>;
  asked(boxes: readonly Box[]): void;
}

interface Sample {
  readonly atMs: number;
  readonly stats: Promise<Uses | null>;
  /** null = not there yet */
  usage: ContainerUsage | null;
}

/**
 * What boxes use, and what is known of their homes. The engine is asked only when somebody asks here, and everybody who asks within two seconds shares one answer;
 * there is no timer, so nothing goes on when nobody asks any more.
 *
 * INVARIANT: one list and one reading of each box at a time, each no sooner than `everyMs` after the one before.
 */
export class StatsCollector {
  readonly #runtime: () => Pick<BoxRuntime, 'list' | 'stats'>;
  readonly #homes: HomesPort;
  readonly #classes: BoxClasses;
  readonly #installation: InstallationId;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #looked: { readonly atMs: number; readonly boxes: Promise<Map<UserName, Box>> } | null = null;
  /** by container */
  readonly #samples = new Map<string, Sample>();

  constructor(options: {
    /** throws an EngineError while the engine was not reached yet */
    runtime: () => Pick<BoxRuntime, 'list' | 'stats'>;
    homes: HomesPort;
    classes: BoxClasses;
    installation: InstallationId;
    clock: Clock;
    /** of the process: a reading is for all who ask, so the end of one question does not end it */
    signal: AbortSignal;
  }) {
    this.#runtime = options.runtime;
    this.#homes = options.homes;
    this.#classes = options.classes;
    this.#installation = options.installation;
    this.#clock = options.clock;
    this.#signal = options.signal;
  }

  /**
   * Of every box that runs, by name; one that cannot be read is left out, and the next question asks for it again. Rejects with
   * an EngineError where the engine does not answer at all.
   */
  async all(): Promise<BoxStats[]> {
    const boxes = [...(await this.#boxes()).values()];
    const homes = new Map((await this.#homes.all()).map((usage) => [usage.user, usage]));
    this.#homes.asked(boxes);
    const found: BoxStats[] = [];
    await eachAtOnce(boxes, statsLimits.readsAtOnce, async (box) => {
      const stats = await this.#sample(box).catch(nothingOfOne);
      if (stats !== null) found.push(this.#withHome(stats, homes.get(box.user) ?? null));
    });
    return found.sort((a, b) => (a.user < b.user ? -1 : 1));
  }

  /** null where this user's box does not run. */
  async of(user: UserName): Promise<BoxStats | null> {
    const box = (await this.#boxes()).get(user);
    if (box === undefined) return null;
    const stats = await this.#sample(box);
    if (stats === null) return null;
    const home = await this.#homes.of(user);
    this.#homes.asked([box]);
    return this.#withHome(stats, home);
  }

  #withHome(uses: Uses, usage: HomeUsage | null): BoxStats {
    return { ...uses, home: usage === null ? null : homeViewOf(usage, quotaOf(usage.class, this.#classes)) };
  }

  async #boxes(): Promise<Map<UserName, Box>> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#looked === null || nowMs - this.#looked.atMs >= statsLimits.everyMs) {
      const looked = { atMs: nowMs, boxes: this.#look() };
      this.#looked = looked;
      // An engine that did not answer may be asked again at once.
      looked.boxes.catch(() => {
        if (this.#looked === looked) this.#looked = null;
      });
    }
    return await this.#looked.boxes;
  }

  async #look(): Promise<Map<UserName, Box>> {
    const ours = (await this.#runtime().list(this.#signal)).filter((view) => isOurs(view, this.#installation));
    const boxes = new Map<UserName, Box>();
    for (const [name, views] of Map.groupBy(ours, ({ user }) => user)) {
      const user = UserName.safeParse(name);
      const container = user.success ? ownershipOf(user.data, this.#installation, views).box : null;
      if (user.success && container !== null && isLive(container)) boxes.set(user.data, { user: user.data, container });
    }
    const running = new Set([...boxes.values()].map(({ container }) => container.id));
    for (const id of this.#samples.keys()) if (!running.has(id)) this.#samples.delete(id);
    return boxes;
  }

  async #sample({ user, container }: Box): Promise<Uses | null> {
    const { id } = container;
    const atMs = this.#clock.monotonicMs();
    const last = this.#samples.get(id) ?? null;
    if (last !== null && (last.usage === null || atMs - last.atMs < statsLimits.everyMs)) return await last.stats;
    const before = last !== null && atMs - last.atMs <= statsLimits.forgottenAfterMs ? last.usage : null;
    const read = async (): Promise<Uses | null> => {
      try {
        sample.usage = await this.#read(id);
        return sample.usage === null ? null : statsOf(user, container, sample.usage, before);
      } finally {
        // Nothing was learnt: the next question is asked at once.
        if (sample.usage === null && this.#samples.get(id) === sample) this.#samples.delete(id);
      }
    };
    const sample: Sample = { atMs, stats: Promise.resolve().then(read), usage: null };
    this.#samples.set(id, sample);
    return await sample.stats;
  }

  /** null where it ended since the list. */
  async #read(id: string): Promise<ContainerUsage | null> {
    try {
      return await this.#runtime().stats(id, this.#signal);
    } catch (error) {
      const kind = error instanceof EngineError ? error.fault.kind : null;
      if (kind === 'not-found' || kind === 'conflict') return null;
      throw error;
    }
  }
}

/** The engine failed for this box alone, or was too slow with it. */
function nothingOfOne(error: unknown): null {
  const kind = error instanceof EngineError ? error.fault.kind : null;
  if (kind === 'failed' || kind === 'timeout') return null;
  throw error;
}

function statsOf(user: UserName, { spec }: ContainerView, usage: ContainerUsage, before: ContainerUsage | null): Uses {
  const { memoryBytes, memoryLimitBytes, pids } = usage;
  // 0 where the label that tells it cannot be read.
  return { user, cpus: cpusOf(usage, before), cpusLimit: spec?.cpus ?? 0, memoryBytes, memoryLimitBytes, pids };
}

function cpusOf(usage: ContainerUsage, before: ContainerUsage | null): number | null {
  if (before === null) return null;
  const [ranNs, tookMs] = [usage.cpuNs - before.cpuNs, usage.readAtMs - before.readAtMs];
  // A box that was started anew counts from zero.
  return tookMs > 0 && ranNs >= 0 ? ranNs / 1e6 / tookMs : null;
}
