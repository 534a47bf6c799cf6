import { failure, ok } from '#shared/finding.ts';
import { closedVaults } from '../store/closed-vaults.ts';
import type { Check } from './check.ts';

export const vaultCheck: Check = {
  name: 'vault',
  needsRedis: true,
  looksAt:
    'The keys that this controller has are those under which the vaults of all users are encrypted. Each entry names its key; none is opened. What keys a gateway has is not looked at.',
  async run(deps, signal) {
    const closed = await closedVaults(deps, signal);
    if (closed === null) return [ok('vault', 'the configured keys are those of all that is in it')];
    const { found, keyIds, mend } = closed;
    return [failure('vault', `${found}: ${keyIds.join(', ')}`, `${mend}, and restart`)];
  },
};
