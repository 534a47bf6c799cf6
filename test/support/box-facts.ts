import { BoxClass } from '#shared/box-class.ts';
import { InstallationId, networkNameOf, UserName } from '#shared/identity.ts';
import type { Desired } from '#shared/lease.ts';
import type { ModeView, RolloutPause } from '#shared/operator-schemas.ts';
import type { Facts } from '../../controller/src/box/facts.ts';
import type { BoxSpec, ContainerView } from '../../controller/src/box/observed.ts';
import { specOf } from '../../controller/src/box/spec.ts';

/** Facts for tests of pure code: a world in order, of which a test says only what differs. */

export const now = 1_700_000_000_000;
export const alice = UserName.parse('alice');
export const installation = InstallationId.parse('test');
export const imageId = 'sha256:image-1';

export const boxClass: BoxClass = BoxClass.parse({
  name: 'default',
  image: 'spoonbox/box:latest',
  user: { uid: 1000, gid: 1000, home: '/home/spoon' },
  shell: ['/bin/bash'],
  command: ['sleep', 'infinity'],
  limits: { memory: '1GiB', cpus: 1, pids: 256 },
  security: { capabilities: [] },
  idle: { detached: '30m', attached: '8h' },
  stopGrace: '10s',
  readiness: { command: ['true'], timeout: '10s' },
});

/** Nobody ever set another. */
export const runMode: ModeView = { mode: 'run', reason: '', by: '', since: 0 };
export const drainMode: ModeView = { mode: 'drain', reason: 'the disk is changed', by: 'ops', since: now - 5_000 };
/** Nobody ever paused one. */
export const rolloutsOn: RolloutPause = { paused: false, reason: '', by: '', since: 0 };
export const rolloutsPaused: RolloutPause = { paused: true, reason: 'a release', by: 'ops', since: now - 5_000 };
export const pauseMode: ModeView = { ...drainMode, mode: 'pause' };

const network = networkNameOf(installation);
export const spec: BoxSpec = specOf({ user: alice, boxClass, imageId, homesDir: '/srv/homes', network });

export function desiredOf(changes: Partial<Desired> = {}): Desired {
  return {
    class: 'default',
    generation: 5,
    lastActivityAt: now - 60_000,
    lastActivityCause: 'lease-taken',
    lastInputAt: now - 60_000,
    reapGeneration: 0,
    recreateGeneration: 0,
    adoptContainerId: '',
    adoptAtOnce: false,
    ...changes,
  };
}

/** A container of ours, running, made for generation 5. */
export function containerOf(changes: Partial<ContainerView> = {}): ContainerView {
  return {
    id: 'box-1',
    name: 'spoon-box-alice',
    state: 'running',
    installation,
    role: 'box',
    user: alice,
    generation: 5,
    imageId,
    spec,
    createdAtS: 1_700_000_000,
    exitCode: null,
    oomKilled: false,
    ...changes,
  };
}

export function foreignOf(changes: Partial<ContainerView> = {}): ContainerView {
  return containerOf({ id: 'foreign-1', installation: '', role: '', user: '', spec: null, generation: 0, ...changes });
}

/** Nothing is there, a lease is live, and a box could be made. */
export function factsOf(changes: Partial<Facts> = {}): Facts {
  const hasLease = changes.hasLease ?? true;
  return {
    now,
    user: alice,
    desired: desiredOf(),
    hasLease,
    wantedUntil: now + 1_800_000,
    keptUntil: 0,
    sessionsIn: [],
    givesWayAt: null,
    makesRoom: false,
    admission: { state: 'open' },
    nextLeaseExpiry: hasLease ? now + 30_000 : null,
    engineDown: null,
    ownership: { box: null, misnamed: false, extras: [], foreign: null },
    foreignExecs: null,
    boxClass,
    image: { state: 'present', id: imageId },
    home: { state: 'present', rightOwner: true },
    homeUsage: null,
    spec,
    last: null,
    vault: { revision: 0 },
    stopping: [],
    amnesty: null,
    orphanGraceMs: 1_800_000,
    mode: runMode,
    rollout: rolloutsOn,
    pacedUntil: null,
    ...changes,
  };
}
