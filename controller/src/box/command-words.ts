import type { DrainCause } from '#shared/status.ts';
import { boxNameOf } from '#shared/identity.ts';
import type { Command } from './command.ts';
import type { Facts } from './facts.ts';

const shortIdLength = 12;

const because: Readonly<Record<DrainCause, string>> = {
  idle: 'nobody needs it any more',
  'gave-way': 'nobody holds it, and others wait for a box',
  reap: 'an operator reaps it',
  recreate: 'an operator has it made anew',
  deleted: 'it was deleted',
  adopt: 'an operator allowed its replacement',
  stopped: 'it does not run',
  duplicate: 'it is a second container of one user',
  rollout: 'its image or class changed, and nobody holds it',
};

/** What a command does, and to what: `create spoon-box-alice from debian:12`; '' where it is none. */
export function commandWords(command: Command, facts: Facts): string {
  const { user, boxClass } = facts;
  switch (command.type) {
    case 'none':
      return '';
    case 'pull':
      return `pull ${command.image}`;
    case 'ensure-home':
      return `make the home of ${user} for user id ${command.uid}`;
    case 'create':
      return `create ${boxNameOf(user)} from ${boxClass?.image ?? command.spec.imageId}`;
    case 'start':
      return `start ${containerWords(command.id, facts)}`;
    case 'unpause':
      return `unpause ${containerWords(command.id, facts)}${command.cause === null ? '' : ', to stop it then'}`;
    case 'rename':
      return `rename ${containerWords(command.id, facts)} to ${command.name}`;
    case 'probe':
      return `try out ${containerWords(command.id, facts)}`;
    case 'write-vault':
      return `write the vault into the home in ${containerWords(command.id, facts)}`;
    case 'stop':
      return `stop ${containerWords(command.id, facts)}, with ${command.graceMs / 1_000} s to end: ${because[command.cause]}`;
    case 'remove':
      return `remove ${containerWords(command.id, facts)}: ${because[command.cause]}`;
    case 'forget':
      return `forget ${user}; the home and the vault stay`;
  }
}

function containerWords(id: string, { ownership }: Facts): string {
  const { box, extras, foreign } = ownership;
  const name = [box, ...extras, foreign].find((container) => container?.id === id)?.name;
  const short = id.slice(0, shortIdLength);
  return name === undefined ? `container ${short}` : `${name} (${short})`;
}
