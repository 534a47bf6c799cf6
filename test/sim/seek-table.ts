import type { ActKind, Ambush, FaultKind } from './fault-plan.ts';

/** What brings a rule of the machine about. */
export interface Bringing {
  /** in the order in which it has to come; a list: one of these; `kind@step`: when some box is there */
  readonly by: readonly (Moment | readonly Moment[])[];
  /** the rule is about the end of a command: what changes the stored state has to come while that of this step is under way */
  readonly during?: Ambush;
}

/** `wait`: until what is before it is done */
export type Kind = FaultKind | ActKind | 'wait';
export type Moment = Kind | `${Kind}@${Ambush}`;

/** Somebody asks, and there is no container: one is made. */
const make: readonly Kind[] = ['remove-box', 'come'];
/** Nobody asks, and there is no container. */
const clear: readonly Kind[] = ['leave', 'ask-reap', 'wait'];

/** By the name of the rule. */
export const bringings: Readonly<Record<string, Bringing>> = {
  'an operator paused the reconciler: nothing is done': {
    by: ['come', 'ask-pause', ['kill-box', 'ask-reap', 'leave']],
  },
  'no new boxes are made: an operator drains the installation': { by: ['ask-drain', ...make] },
  'the engine does not answer: nothing is known, nothing is concluded': {
    by: [['engine-restart-surviving', 'engine-flaky', 'engine-errors'], 'come'],
  },
  'nobody needs the box, or an operator wants it gone: stop it': {
    by: [
      ['left-box', 'come'],
      ['ask-reap', 'ask-recreate', 'ask-delete'],
    ],
  },
  'the box does not run and is not to be started: remove it': {
    by: [
      ['left-box', 'leave', 'image-changed'],
      ['kill-box', 'stop-box'],
    ],
  },
  'a creation is in progress elsewhere: look again': { by: ['creates-conflict', ...make], during: 'creating' },
  'the container vanished, which is forgiven once': {
    by: ['kill-box', 'come', ['remove-box@starting', 'remove-box@probing', 'remove-box']],
    during: 'starting',
  },
  'the container vanished again': {
    by: [
      ['kill-box', 'remove-box'],
      ['image-vanishes@starting', 'wake-ups-lost'],
      'come',
      'remove-box@starting',
      'remove-box',
    ],
    during: 'starting',
  },
  'the last command failed': {
    by: [['engine-errors', 'probes-fail', 'disk-full', 'starts-die'], ['kill-box', 'remove-box'], 'come'],
  },
  'the container ended as soon as it was started': { by: ['starts-die', 'kill-box', 'come'], during: 'starting' },
  'the container ended before it was ready': { by: ['come', 'kill-box'] },
  'the box is being removed by somebody: wait for it': { by: ['come', 'removing-box'] },
  'it runs and passed its probe, with a holder: ready': { by: ['kill-box', 'come'], during: 'probing' },
  'it runs and passed its probe: ready, idle': { by: ['kill-box', 'come', 'leave'], during: 'probing' },
  'it runs: probe it': { by: ['come', ['left-box', 'restart-box', 'rename-box']] },
  'it is paused and somebody needs it: unpause it': { by: ['come', 'wait', 'pause-box'] },
  'somebody paused it and nobody needs it: leave it': { by: ['come', 'wait', 'leave', 'pause-box'] },
  'the engine is restarting it: wait': { by: ['come', ['restarting-box', 'left-box']] },
  'it does not run and somebody needs it: start it': { by: ['come', ['kill-box', 'left-box', 'engine-restart']] },
  'an operator consented to replace the foreign container: stop it': { by: [...clear, 'foreign-adopted'] },
  'an operator consented to replace the foreign container: remove it': { by: [...clear, 'foreign-adopted'] },
  'a container that is not ours has the name': { by: [...clear, ['foreign-box', 'impersonated-box'], 'come'] },
  'deleted, and nothing of ours is left: forget the user': { by: ['leave', 'ask-delete'], during: 'removing' },
  'nobody asks for a box': { by: [...clear] },
  'its class is not configured': { by: ['class-unknown', ...make] },
  'the image is absent and must not be pulled': { by: ['pull-forbidden', ...make] },
  'the image is being pulled': { by: ['image-vanishes', ...make] },
  'an image was pulled that is not there': { by: ['image-vanishes', ...make], during: 'pulling' },
  'the image is absent: pull it': { by: ['image-vanishes', ...make] },
  'what lies in place of the home cannot be mounted': { by: ['home-link', ...make] },
  'a home was made that cannot be seen from here': { by: ['homes-hidden', ...make], during: 'creating' },
  'a home was given to its user, and is still not theirs': { by: ['chown-fails', ...make], during: 'creating' },
  "there is no home yet, or it is root's: make it the user's": { by: ['home-of-root', ...make] },
  'there is no container: create it': { by: make },
  'the container is gone or ended under its holders': { by: ['leave', ['kill-box', 'remove-box'], 'come'] },
  'the container is gone, and nobody needs it': { by: ['leave', 'remove-box'] },
  'somebody paused the box': { by: ['come', 'pause-box'] },
  'the engine is restarting the box: wait': { by: ['come', 'restarting-box'] },
  'another container was chosen as the box: probe it': { by: ['second-box', ['remove-box', 'kill-box']] },
  'putting things straight beside the box failed: wait': {
    by: ['come', 'wait', 'engine-errors', ['second-box', 'rename-box'], 'rename-box'],
  },
  'a second container of ours, or an adopted one, is in the way: stop it': { by: ['come', 'wait', 'second-box'] },
  'a second container of ours, or an adopted one, is in the way: remove it': { by: ['come', 'wait', 'second-box'] },
  'the box was renamed by hand: give it its name back': { by: ['come', 'wait', 'rename-box'] },
  'its image or class changed, and nobody holds it: stop it, the next one is new': {
    by: ['come', 'wait', 'leave', 'image-changed'],
  },
  'it runs and passed its probe: write the vault into its home': { by: ['ask-vault', ...make], during: 'probing' },
  'what is in the vault is not what was written: write it into the home': { by: ['come', 'wait', 'ask-vault'] },
  'somebody holds it': { by: ['come'] },
  'nobody holds it': { by: ['come', 'leave'] },
  'what was drained is gone': { by: ['come', 'ask-reap', 'remove-box'] },
  'stopping or removing failed: wait and try again': { by: ['come', 'engine-errors', 'ask-reap', 'come'] },
  'it is not time to try again': { by: ['come', 'engine-errors', ['ask-reap', 'starts-die'], 'wait', 'come'] },
  'it runs: stop it': {
    by: ['come', 'wait', ['engine-errors', 'engine-slow'], ['ask-reap', 'ask-recreate'], 'restart-box'],
  },
  'it does not run: remove it': { by: ['come', 'wait', ['ask-reap', 'ask-recreate'], 'kill-box'] },
  'nothing is there and nobody asks any more': { by: ['disk-full', ...make, 'leave'] },
};

/** About places, of which there are as many as anybody wants in these stories: `capacity.test.ts` meets them. */
export const rulesOfPlaces: ReadonlySet<string> = new Set([
  'it does not run, and others have all places: remove it, and wait in line',
  'as many boxes as may be are there: wait in line',
  'a box of its class is more than all boxes may have together',
]);
