import type { LeaseEndReason } from './lease.ts';
import type { Reason } from './status.ts';

export interface ReasonText {
  readonly means: string;
  /** empty = nothing */
  readonly whatToDo: string;
}

const byItself = 'Nothing: it goes on by itself.';
const triedAgain = 'It is tried again by itself, ever more slowly (at most a minute apart).';

/** What each reason of a condition means, and what to do about it. A reason without a text does not compile. */
export const reasonTexts: Readonly<Record<Reason, ReasonText>> = {
  Absent: { means: 'There is no box; nobody asks for one.', whatToDo: 'A lease or an attached terminal makes one.' },
  Active: { means: 'A lease is live: somebody uses the box.', whatToDo: '' },
  AdmissionWait: {
    means:
      'Somebody asks for a box, and as many run as may (`SPOON_BOX_MAX`, `SPOON_BOX_MEMORY`); the message says the position in line, and who has the others.',
    whatToDo: `${byItself} Idle boxes give way first; \`spoonbox capacity\` shows the line, \`spoonbox reap USER\` frees a place.`,
  },
  AdoptRequested: {
    means: 'An operator allowed to replace the foreign container that has the name of the box.',
    whatToDo: 'It is replaced once nothing started by exec runs in it; `spoonbox adopt --now` does not wait for that.',
  },
  Amnesty: {
    means: 'Redis was emptied, restored or not readable: who is not known to need a box gets its full time again.',
    whatToDo: byItself,
  },
  ClassUnknown: {
    means: 'The class of the box is not configured here.',
    whatToDo: 'Bring the class file back (`SPOON_CLASSES`) and restart the controllers, or delete the box.',
  },
  ContainerCreated: { means: 'The container is made and not started yet.', whatToDo: byItself },
  ContainerDied: {
    means: 'The container ended by itself, or somebody ended it.',
    whatToDo:
      'While a lease is live a new one is made. When it happens again and again, look at the command of the class.',
  },
  ContainerGone: {
    means: 'The container vanished while it was being made.',
    whatToDo: `See who else removes containers on this host (a prune?). ${triedAgain}`,
  },
  ContainerMissing: { means: 'There is no container.', whatToDo: '' },
  ContainerPaused: {
    means: 'Somebody paused the container.',
    whatToDo: 'It goes on by itself when somebody needs the box or it is reaped.',
  },
  ContainerRemoving: { means: 'The engine is removing the container.', whatToDo: byItself },
  ContainerRunning: { means: 'The container runs.', whatToDo: '' },
  CreateFailed: {
    means: 'The engine refused to make the container; the message has its words (no space, a bad setting …).',
    whatToDo: `Remove the cause. ${triedAgain}`,
  },
  Detached: { means: 'Nobody holds the box; it is kept for its idle time.', whatToDo: '' },
  Drained: {
    means: 'Somebody asks for a box, and an operator lets no new ones be made; the message says who and why.',
    whatToDo: 'It is made once the mode is `run` again: `spoonbox resume`. Boxes that are there are not concerned.',
  },
  EngineAnswers: { means: 'The container engine answers.', whatToDo: '' },
  EngineUnreachable: {
    means: 'The container engine does not answer, so nothing is known of the box and nothing is done to it.',
    whatToDo: 'Start the engine. Boxes that run go on meanwhile.',
  },
  ForeignContainer: {
    means: 'A container that Spoonbox did not make has the name of the box. It is never touched.',
    whatToDo: 'Rename or remove it, or allow to replace it: `spoonbox adopt USER CONTAINER-ID`.',
  },
  HomeFailed: {
    means: 'The home cannot be made, or something that is no directory is in its place.',
    whatToDo: `Look at the path in the message, and at \`SPOON_AGENT_HOST_WORKDIR\`. ${triedAgain}`,
  },
  HomeMissing: { means: 'There is no home yet; it is made with the first box.', whatToDo: '' },
  HomeNoQuota: { means: 'The class of the box sets no quota for homes.', whatToDo: '' },
  HomeNotMeasured: {
    means: 'What the home takes up is not known yet, or could not be told; the message says why.',
    whatToDo: 'It is looked at once an hour while the box runs, and when somebody asks (`spoonbox top`).',
  },
  HomeOverQuota: {
    means: 'The home takes up more than its class allows. This warns and stops nothing.',
    whatToDo:
      'Remove what is not needed (`du -xhd 2 ~` in the box shows where it is), or raise `home.quota` of the class.',
  },
  HomePresent: { means: 'The home is there.', whatToDo: '' },
  HomeWithinQuota: { means: 'The home takes up no more than its class allows.', whatToDo: '' },
  HomeWrongOwner: {
    means: "The home belongs to another user id than the class's.",
    whatToDo:
      'The message says whether that is put right by itself; else `chown` it by hand to the uid and gid of the class.',
  },
  ImageMissing: {
    means: 'The image is not there: not pulled yet, or `pullPolicy: Never` forbids it.',
    whatToDo: 'With `Never`: bring it (`npm start -- --rebuild-image`, `docker load`). Else it is pulled by itself.',
  },
  ImagePresent: { means: 'The image is there.', whatToDo: '' },
  ImagePulling: { means: 'The image is being pulled; `progress` says how far it is.', whatToDo: byItself },
  NameFree: { means: 'No foreign container has the name of the box.', whatToDo: '' },
  NotChecked: { means: 'It was not looked at, because something before it is not there yet.', whatToDo: '' },
  OutOfMemory: {
    means: 'The kernel ended the container because it used more memory than its class allows.',
    whatToDo: 'Use less, or raise `limits.memory` of the class.',
  },
  OverBudget: {
    means:
      'The class of the box may use more memory than all boxes together (`SPOON_BOX_MEMORY`), so it can never be made.',
    whatToDo: 'Ask for a smaller class, or raise the budget and restart the controllers.',
  },
  Paused: {
    means: 'An operator paused the reconciler: nothing is done to any box; the message says who and why.',
    whatToDo:
      '`spoonbox resume` lets it run again. Boxes that run go on meanwhile; one that ended stays so until then.',
  },
  ProbeFailed: {
    means: 'The container runs, but the readiness command of the class does not succeed in it.',
    whatToDo: `Look at the message: an image without a shell, a wrong command? ${triedAgain}`,
  },
  Probed: { means: 'A command ran in the box: terminals can be opened.', whatToDo: '' },
  Provisioning: { means: 'The box is being made.', whatToDo: byItself },
  PullFailed: {
    means: "The image could not be pulled; the message has the registry's words.",
    whatToDo: `Check the name of the image, the network and the registry. ${triedAgain}`,
  },
  ReapPaced: {
    means: 'Nobody needs the box, but idle reaps are paced, so that a mistake could not reap all at once.',
    whatToDo: `${byItself} \`spoonbox reap USER\` does not wait.`,
  },
  Reaping: { means: 'The box is being stopped and removed. Only the home survives.', whatToDo: byItself },
  RemoveFailed: {
    means: 'The engine could not remove the container.',
    whatToDo: `Look at the message and at the engine's log. ${triedAgain}`,
  },
  RenameFailed: {
    means: 'A box that was renamed by hand could not get its name back.',
    whatToDo: `See which container has the name. ${triedAgain}`,
  },
  SpecCurrent: { means: 'The box is as it would be made now.', whatToDo: '' },
  SpecDrift: {
    means: 'The class or the image changed since the box was made; the message names the fields.',
    whatToDo:
      'It is replaced once nobody holds it, unless rollouts are paused (`spoonbox rollout`). `spoonbox recreate USER` does it now.',
  },
  StartFailed: {
    means: "The container could not be started; the message has the engine's words.",
    whatToDo: `Remove the cause. ${triedAgain}`,
  },
  StopFailed: {
    means: 'The engine could not stop the container.',
    whatToDo: `Look at the message and at the engine's log. ${triedAgain}`,
  },
  VaultApplied: { means: "What is in the user's vault is in the home of the box.", whatToDo: '' },
  VaultDrift: {
    means: 'Files of the home differ from the vault, and were left as they are; the message names them.',
    whatToDo:
      "`spoonbox vault take USER PATH --from box` makes the box's file the vault's; `--from vault` overwrites it, with a copy beside it.",
  },
  VaultEmpty: { means: 'There is nothing in the vault of the user.', whatToDo: '' },
  VaultFailed: {
    means:
      'The vault could not be written into the home; the message has the words of the box (no space, no permission …).',
    whatToDo: `Remove the cause. The box is ready all the same. ${triedAgain}`,
  },
  VaultPending: { means: 'The vault changed, and is being written into the home.', whatToDo: byItself },
  VaultUnreadable: {
    means:
      'Entries of the vault cannot be opened, and are left out: the key that they were sealed with is not configured here, or they were changed. The message names them.',
    whatToDo: `Set \`SPOON_ENCRYPTION_KEY_PREVIOUS\` to the key of before; put again what was changed. The box is ready, without these entries. ${triedAgain}`,
  },
};

/** Why a lease ended. */
export const leaseEndTexts: Readonly<Record<LeaseEndReason, ReasonText>> = {
  'attached-idle': {
    means: 'The terminal was attached, and nobody typed for as long as its class allows; the box was reaped.',
    whatToDo:
      'Attach again. Whoever is to keep a box while nobody types takes a lease (`spoonbox lease`, `spoonbox pin`).',
  },
  deleted: {
    means: 'An operator deleted the box and what was known of its user; the home and the vault stay.',
    whatToDo: 'Take a new lease: it gets a new box on the same home.',
  },
  expired: {
    means: 'Its holder did not renew it in time: the holder ended, or could not reach a controller.',
    whatToDo: 'Look whether the holder still runs. A job that works for long renews its lease (`spoonbox run` does).',
  },
  reaped: {
    means: 'An operator reaped the box; only its home survives.',
    whatToDo:
      'Take a new lease: it gets a new box on the same home. `spoonbox events USER` says who asked for the reap.',
  },
  released: { means: 'It was given back.', whatToDo: '' },
};
