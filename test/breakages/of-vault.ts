import type { Breakage } from './breakages.ts';

const script = 'test/unit/vault-script.test.ts';
const model = 'test/model/vault.test.ts';
const gateway = 'test/gateway/environment.test.ts';

/** Of vaults in homes, and of their variables. */
export const ofVault: readonly Breakage[] = [
  {
    name: 'an edited file is overwritten',
    promise: 'a file that the user edited in the box is not overwritten but reported',
    file: 'controller/src/runtime/vault-script.ts',
    text: '  elif wrote; then write plain',
    replacement: '  elif :; then write plain',
    caughtBy: { file: script, test: 'an edited file is left alone' },
  },
  {
    name: 'what was there before is overwritten without a copy',
    promise: 'the vault’s side overwrites a file with a copy beside it',
    file: 'controller/src/runtime/vault-script.ts',
    text: 'if [ "$1" = save ] && [ -n "$is" ]; then save || return 1; fi',
    replacement: '',
    caughtBy: { file: script, test: 'take: the vault’s file comes in the place' },
  },
  {
    name: 'a file that was removed from the vault goes, though it was edited',
    promise: 'a file removed from the vault is removed from the home only if unchanged since it was written',
    file: 'controller/src/runtime/vault-script.ts',
    text: '[ -n "$is" ] && wrote; then',
    replacement: '[ -n "$is" ]; then',
    caughtBy: { file: script, test: 'drop: a file that was removed from the vault goes' },
  },
  {
    name: 'what is about to be written is not written down before',
    promise: 'a death while a vault is written makes no file look edited',
    file: 'controller/src/runtime/vault-script.ts',
    text: 'wrote() { knows "had $is" || knows "try $is"; }',
    replacement: 'wrote() { knows "had $is"; }',
    caughtBy: { file: script, test: 'takes nothing for an edit' },
  },
  {
    name: 'a vault that cannot be written is tried until it can, and the box waits',
    promise: 'a vault that can’t be opened or written never keeps a box from being ready',
    file: 'controller/src/box/vault.ts',
    text: 'vaultOf(context, facts).containerId !== box.id;',
    replacement: 'vaultOf(context, facts).applied === null;',
    caughtBy: { file: model, test: 'does not keep it from being ready' },
  },
  {
    name: 'nothing is started where a vault cannot be had',
    promise: 'a vault that cannot be had: what is started is without it, and is told why',
    file: 'gateway/src/environment.ts',
    text: 'const why = error instanceof Error ? error.message : String(error);',
    replacement: 'throw error;',
    caughtBy: { file: gateway, test: 'runs without them where they cannot be had' },
  },
  {
    name: 'one entry that cannot be opened closes the vault',
    promise: 'an entry that cannot be opened is left out alone, and a notice names it',
    file: 'shared/src/vault-store.ts',
    text: 'if (plain instanceof VaultSealError) unreadable.push({ field, error: plain });',
    replacement: 'if (plain instanceof VaultSealError) throw plain;',
    caughtBy: { file: gateway, test: 'without the one variable that cannot be opened' },
  },
  {
    name: 'a vault changes what a gateway says of its terminal',
    promise: 'a session is found by its mark, whatever its user’s variables are',
    file: 'gateway/src/environment.ts',
    text: "!(name in own) && name !== 'TMUX_TMPDIR'",
    replacement: 'true',
    caughtBy: { file: gateway, test: 'which a vault does not change' },
  },
];
