import { failure, type Finding, ok } from '#shared/finding.ts';
import { closedVaults } from '../store/closed-vaults.ts';
import type { Check, CheckDeps } from './check.ts';

const check = 'vault';

export const vaultCheck: Check = {
  name: check,
  needsRedis: true,
  looksAt:
    'The keys that this controller has are those under which the vaults of all users are encrypted. Each entry names its key; none is opened. Every gateway has these keys too.',
  async run(deps, signal) {
    const closed = await closedVaults(deps, signal);
    const wrong = await gatewaysWithoutKeys(deps);
    if (closed === null && wrong.length === 0) {
      return [ok(check, 'the configured keys are those of all that is in it, here and at the gateways')];
    }
    if (closed === null) return wrong;
    const { found, keyIds, mend } = closed;
    return [failure(check, `${found}: ${keyIds.join(', ')}`, `${mend}, and restart`), ...wrong];
  },
};

/** A gateway hands a vault's environment to each shell, and starts one without it rather than none. */
async function gatewaysWithoutKeys({ store, vault }: CheckDeps): Promise<Finding[]> {
  const { now, gateways } = await store.gateways();
  return gateways
    .filter(({ expiresAt, vaultKeyIds }) => expiresAt > now && vaultKeyIds !== undefined)
    .flatMap(({ address, vaultKeyIds = '' }) => {
      const missing = vault.keyIds.filter((keyId) => !vaultKeyIds.split(',').includes(keyId));
      if (missing.length === 0) return [];
      const found = `the gateway ${address} has no key ${missing.join(', ')}: its terminals start without the environment of vaults`;
      return [
        failure(check, found, 'give it the SPOON_ENCRYPTION_KEY and _PREVIOUS of this controller, and restart it'),
      ];
    });
}
