import type { BoxClass, BoxClasses } from '#shared/box-class.ts';
import { EngineError } from '#shared/faults.ts';
import { type InstallationId, networkNameOf } from '#shared/identity.ts';
import { largestRenewedTtlMs } from '#shared/lease.ts';
import type { BoxRecord } from '#shared/status.ts';
import { consentedForeign } from '../box/adopting.ts';
import type { Facts, HomeFact, ImageFact } from '../box/facts.ts';
import type { ContainerView } from '../box/observed.ts';
import { isLive, type Ownership, ownershipOf } from '../box/ownership.ts';
import { specOf } from '../box/spec.ts';
import { defaultClassName } from '#shared/classes.ts';
import type { Room } from '../capacity/capacity.ts';
import { wishOf } from '../capacity/standing.ts';
import type { BoxRuntime } from '../runtime/port.ts';
import type { Operations, Outcome } from './operations.ts';
import type { Amnesty } from './trust.ts';

const nothingThere: Ownership = { box: null, misnamed: false, extras: [], foreign: null };

/** Where the facts of a pass come from, besides the record that was read. */
export interface Sources {
  readonly runtime: Pick<BoxRuntime, 'list' | 'observe' | 'countExecs' | 'image' | 'home'>;
  readonly operations: Pick<Operations, 'pullOf' | 'wasPulled' | 'stopping'>;
  readonly classes: BoxClasses;
  readonly installation: InstallationId;
  /** `{workdir}/homes` as the Docker host sees it */
  readonly homesDir: string;
}

export interface PassState {
  /** null = ask the engine */
  readonly listed: readonly ContainerView[] | null;
  /** look for second containers too, where the box itself runs */
  readonly thorough: boolean;
  readonly last: Outcome | null;
  readonly amnesty: Amnesty | null;
  readonly capacity: Room;
  /** ms until the pacer allows an idle reap; 0 = now */
  readonly pacedMs: number;
}

/** Gathers the facts of one pass. An engine that does not answer is a fact too; only bugs and aborts are thrown. */
export async function gatherFacts(
  sources: Sources,
  record: BoxRecord,
  state: PassState,
  signal: AbortSignal,
): Promise<Facts> {
  const boxClass = sources.classes.get(record.desired?.class ?? defaultClassName) ?? null;
  const known = factsOfRecord(sources, record, boxClass, state);
  try {
    const { thorough } = state;
    const containers = state.listed ?? (await sources.runtime.observe(record.user, { thorough }, signal));
    const ownership = ownershipOf(record.user, sources.installation, containers);
    const image = await imageOf(sources, record, boxClass, signal);
    const home = await homeOf(sources, record, boxClass);
    const spec =
      boxClass !== null && image.state === 'present'
        ? specOf({
            user: record.user,
            boxClass,
            imageId: image.id,
            homesDir: sources.homesDir,
            network: networkNameOf(sources.installation),
          })
        : null;
    const { box, foreign } = ownership;
    // Where there is a container that does not run, its start takes a place, whatever else is wrong.
    const asks = box === null ? boxClass !== null && foreign === null : !isLive(box);
    const wish = asks ? wishOf(record.leases, boxClass?.limits.memory ?? 0) : null;
    const admission = state.capacity.admission(record.user, wish, record.now);
    const facts: Facts = { ...known, ownership, image, home, spec, admission };
    const asked = consentedForeign(facts);
    return asked === null ? facts : { ...facts, foreignExecs: await execsIn(sources.runtime, asked, signal) };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { ...known, engineDown: error.message };
  }
}

/** What is known without the engine. */
function factsOfRecord(sources: Sources, record: BoxRecord, boxClass: BoxClass | null, state: PassState): Facts {
  const expiries = record.leases.map((lease) => lease.expiresAt);
  // As the scripts do: a box whose class is not configured is kept as long as one of the default class.
  const { detached } = (boxClass ?? sources.classes.get(defaultClassName))?.idle ?? { detached: 0 };
  const orphanGraceMs = Math.max(detached, largestRenewedTtlMs);
  return {
    now: record.now,
    user: record.user,
    desired: record.desired,
    hasLease: record.leases.length > 0,
    wantedUntil: record.wantedUntil,
    keptUntil: Math.max(0, ...record.holds.filter(({ by }) => by === 'keep').map(({ untilMs }) => untilMs)),
    sessionsIn: record.sessions.map(({ containerId }) => containerId),
    givesWayAt: record.givesWayAt,
    makesRoom: state.capacity.makesRoom(record.user),
    admission: { state: 'open' },
    nextLeaseExpiry: expiries.length > 0 ? Math.min(...expiries) : null,
    engineDown: null,
    ownership: nothingThere,
    foreignExecs: null,
    boxClass,
    image: { state: 'unknown' },
    home: { state: 'absent' },
    homeUsage: record.homeUsage,
    spec: null,
    last: state.last,
    vault: { revision: record.vaultRevision },
    stopping: sources.operations.stopping(),
    amnesty: state.amnesty === null ? null : { ...state.amnesty, graceMs: orphanGraceMs },
    orphanGraceMs,
    mode: record.mode,
    rollout: record.rollout,
    pacedUntil: state.pacedMs > 0 ? record.now + state.pacedMs : null,
  };
}

/** Null where the container went in this very moment: only the next look tells what is there now. */
async function execsIn(
  runtime: Sources['runtime'],
  { id }: ContainerView,
  signal: AbortSignal,
): Promise<number | null> {
  try {
    return await runtime.countExecs(id, signal);
  } catch (error) {
    if (error instanceof EngineError && error.fault.kind === 'not-found') return null;
    throw error;
  }
}

async function imageOf(
  sources: Sources,
  record: BoxRecord,
  boxClass: BoxClass | null,
  signal: AbortSignal,
): Promise<ImageFact> {
  if (boxClass === null) return { state: 'unknown' };
  const { image, pullPolicy } = boxClass;
  // Only who waits for the image is told how far it is: idle boxes of the class have nothing to do with it.
  const waits = record.leases.length > 0 && record.status?.phase !== 'ready';
  // Pulled again on an operator's word, it is there all the while: nobody waits for that.
  const isFresh = pullPolicy !== 'Always' || sources.operations.wasPulled(image);
  const view = isFresh ? await sources.runtime.image(image, signal) : null;
  if (view?.state === 'present') return view;
  const pull = sources.operations.pullOf(image, waits ? record.user : null);
  if (pull !== null) return { state: 'pulling', progress: pull.progress };
  return pullPolicy === 'Never' ? { state: 'forbidden' } : { state: 'wanted' };
}

async function homeOf(sources: Sources, record: BoxRecord, boxClass: BoxClass | null): Promise<HomeFact> {
  const home = await sources.runtime.home(record.user);
  if (home.state !== 'present') return home;
  const rightOwner = boxClass === null || home.uid === boxClass.user.uid;
  return home.uid === 0 && !rightOwner ? { state: 'not-given' } : { state: 'present', rightOwner };
}
