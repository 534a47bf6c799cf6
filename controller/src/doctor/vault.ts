import { failure, type Finding, ok } from '#shared/finding.ts';
import { firstOf } from '#shared/human-count.ts';
import { wordsFor } from '#shared/vault-field.ts';
import { closedVaults } from '../store/closed-vaults.ts';
import type { Check, CheckDeps } from './check.ts';
import { liveGateways } from './live-gateways.ts';

const check = 'vault';

export const vaultCheck: Check = {
  name: check,
  needsRedis: true,
  looksAt:
    'The keys that this controller has are those under which the vaults of all users are encrypted. Each entry names its key, and opens with it; no value is shown. Every gateway has these keys too.',
  async run(deps, signal) {
    const closed = await closedVaults(deps, signal);
    const here =
      closed === null
        ? []
        : [failure(check, `${closed.found}: ${closed.keyIds.join(', ')}`, `${closed.mend}, and restart`)];
    const wrong = [...here, ...(await damagedEntries(deps, signal)), ...(await gatewaysWithoutKeys(deps))];
    if (wrong.length > 0) return wrong;
    return [ok(check, 'the configured keys are those of all that is in it, here and at the gateways')];
  },
};

/** What is under a key of this controller, or under none at all, and is not what was sealed for its place. */
async function damagedEntries({ store, vault }: CheckDeps, signal: AbortSignal): Promise<Finding[]> {
  const found: string[] = [];
  for (const user of await store.users()) {
    signal.throwIfAborted();
    for (const { field, error } of (await vault.readable(user)).unreadable) {
      if (error.problem === 'changed') found.push(`${wordsFor(field)} of ${user}`);
    }
  }
  if (found.length === 0) return [];
  const are = found.length === 1 ? 'is' : 'are';
  return [
    failure(
      check,
      `${firstOf(found, mostNamed)} ${are} damaged: left out of homes and of what is started`,
      'put it again (`spoonbox vault`), or restore it from a backup',
    ),
  ];
}

/** Entries that one line names. */
const mostNamed = 10;

/** A gateway hands a vault's environment to each shell, and starts one without it rather than none. */
async function gatewaysWithoutKeys({ store, vault }: CheckDeps): Promise<Finding[]> {
  return (await liveGateways(store)).flatMap(({ address, vaultKeyIds }) => {
    // One that is older than this field does not say.
    const missing = vault.keyIds.filter((keyId) => vaultKeyIds?.split(',').includes(keyId) === false);
    if (missing.length === 0) return [];
    const found = `the gateway ${address} has no key ${missing.join(', ')}: its terminals start without the environment of vaults`;
    return [failure(check, found, 'give it the SPOON_ENCRYPTION_KEY and _PREVIOUS of this controller, and restart it')];
  });
}
