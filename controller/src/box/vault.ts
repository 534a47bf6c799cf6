import { firstOf } from '#shared/human-count.ts';
import type { VaultApplied } from '#shared/vault-status.ts';
import type { Reason } from '#shared/status.ts';
import type { Command } from './command.ts';
import { type BoxContext, freshVault, type VaultMemory } from './context.ts';
import type { Facts } from './facts.ts';
import { backoffMs } from './failing.ts';
import { isLiveContainer, type Rule, withBox } from './rules.ts';

/**
 * A user's vault in the home of a box: written once a run of the box, before anybody is let in, and again after every change.
 * What cannot be written never keeps a box from being ready: it is told, and tried again.
 */

/** Operations of faults: the vault, or an entry of it, could not be had; or it could not be put into the home. */
export const openVault = 'openVault';
export const writeVault = 'writeVault';

/**
 * What is remembered of the vault, with how the last try ended. Of a box that does not run nothing is: its home may be another by
 * the time it does.
 */
export function vaultOf(context: BoxContext, facts: Facts): VaultMemory {
  const { box } = facts.ownership;
  if (facts.engineDown !== null) return context.vault;
  if (!isLiveContainer(box)) return freshVault;
  const known = context.vault.containerId === box?.id ? context.vault : freshVault;
  const { last } = facts;
  if (last === null || last.command !== 'write-vault' || last.containerId !== box?.id) return known;
  const { vault: written = null, fault } = last;
  const failed = written?.failed[0] ?? null;
  const tried = { ...known, containerId: last.containerId, triedRevision: written?.revision ?? facts.vault.revision };
  if (written !== null && failed === null) {
    const { revision, drift } = written;
    return {
      ...tried,
      applied: { revision, drift, at: facts.now },
      attempts: 0,
      retryAt: 0,
      reason: null,
      message: '',
    };
  }
  const attempts = known.attempts + 1;
  return {
    ...tried,
    attempts,
    retryAt: facts.now + backoffMs(attempts + 1),
    reason: fault?.operation === openVault ? 'VaultUnreadable' : 'VaultFailed',
    message: fault?.message ?? `${failed?.path} could not be written: ${failed?.why}`,
  };
}

/** Before a box is ready for the first time in this run: one try, whatever comes of it. */
export function isVaultUntried(context: BoxContext, facts: Facts): boolean {
  const { box } = facts.ownership;
  return facts.vault.revision > 0 && box?.state === 'running' && vaultOf(context, facts).containerId !== box.id;
}

/** The vault differs from what was written, and it is time to try. */
export function isVaultDue(context: BoxContext, facts: Facts): boolean {
  const { box } = facts.ownership;
  const { revision } = facts.vault;
  if (revision === 0 || box?.state !== 'running') return false;
  const { applied, triedRevision, retryAt } = vaultOf(context, facts);
  return applied?.revision !== revision && (triedRevision !== revision || facts.now >= retryAt);
}

/** When to try again; null = nothing waits for that. */
export function vaultRetryAt({ vault }: BoxContext, facts: Facts): number | null {
  return facts.vault.revision > 0 && vault.retryAt > facts.now ? vault.retryAt : null;
}

export const vaultChanged: Rule = {
  name: 'what is in the vault is not what was written: write it into the home',
  when: isVaultDue,
  command: writeCommand,
};

export function writeCommand(_context: BoxContext, facts: Facts): Command {
  return withBox(facts, (box) => ({ type: 'write-vault', id: box.id }));
}

/** As people are shown it. */
export function vaultVerdict(
  context: BoxContext,
  facts: Facts,
): readonly ['True' | 'False' | 'Unknown', Reason, string] {
  const { vault } = context;
  const { revision } = facts.vault;
  if (revision === 0) return ['True', 'VaultEmpty', 'the vault is empty'];
  if (vault.containerId === '') return ['Unknown', 'NotChecked', 'it is written when the box runs'];
  if (vault.reason !== null) return ['False', vault.reason, vault.message];
  if (vault.applied?.revision !== revision) return ['False', 'VaultPending', 'what is in the vault is being written'];
  if (vault.applied.drift.length > 0) return ['False', 'VaultDrift', driftWords(vault.applied)];
  return ['True', 'VaultApplied', 'what is in the vault is in the home'];
}

/** Paths that a sentence names; all of them are in the status. */
const pathsNamed = 5;

const driftWord = {
  edited: 'edited in the box',
  foreign: 'was there before',
  removed: 'removed in the box',
  'no-file': 'is no file in the box',
} as const;

function driftWords({ drift }: VaultApplied): string {
  const named = drift.map(({ path, how }) => `${path} (${driftWord[how]})`);
  return `left as the home has it: ${firstOf(named, pathsNamed)}; \`spoonbox vault take\` takes either side`;
}
