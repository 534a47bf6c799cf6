import { failure, type Finding, ok, warning } from '#shared/finding.ts';
import { version } from '#shared/version.ts';
import type { Check } from './check.ts';
import { liveGateways } from './live-gateways.ts';

const check = 'gateways';

export const gatewaysCheck: Check = {
  name: check,
  looksAt: 'At least one gateway is registered in Redis, and all are of the version of this controller.',
  needsRedis: true,
  async run({ store }) {
    const live = await liveGateways(store);
    if (live.length === 0) {
      const mend =
        'start one, on the same Redis; where it was started, its log says why it is not there (`systemctl status spoonbox-gateway`, `docker compose ps`)';
      return [failure(check, 'none is registered: nobody can open a terminal', mend)];
    }
    const others: Finding[] = live
      .filter((gateway) => gateway.version !== version)
      .map(({ address, version: its = 'unknown, older' }) =>
        warning(check, `${address} is of version ${its}, this controller of ${version}`, 'upgrade whichever is older'),
      );
    if (others.length > 0) return others;
    return [ok(check, `${live.map(({ address }) => address).join(', ')}, version ${version}`)];
  },
};
