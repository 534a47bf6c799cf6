import { afterAll, beforeAll, beforeEach, describe } from 'vitest';
import type { RedisPort } from '#shared/redis-port.ts';
import { accessContract } from './box-store-access.ts';
import { backupContract } from './box-store-backup.ts';
import { commitContract } from './box-store-commit.ts';
import { damageContract } from './box-store-damage.ts';
import { leaseContract } from './box-store-leases.ts';
import { leaderReportContract } from './leader-report.ts';
import { vaultContract } from './box-store-vault.ts';
import { homeContract } from './box-store-homes.ts';
import { sessionContract } from './box-store-sessions.ts';
import { wishContract } from './box-store-wishes.ts';
import { createWorld, type RedisHarness, type World } from './box-store-world.ts';
import { modeContract } from './box-store-mode.ts';
import { rolloutContract } from './box-store-rollout.ts';

/** What the state in Redis promises, whatever runs the scripts: the real server, or the simulated one. */
export function boxStoreContract(name: string, makeRedis: () => Promise<RedisHarness>): void {
  describe(name, () => {
    let harness: RedisHarness;
    let redis: RedisPort;
    let world: World;

    beforeAll(async () => {
      harness = await makeRedis();
      redis = harness.connect();
    });
    afterAll(async () => {
      await redis?.close();
      await harness?.dispose();
    });
    beforeEach(() => {
      world = createWorld(harness, redis);
    });

    leaseContract(() => world);
    sessionContract(() => world);
    leaderReportContract(() => world);
    wishContract(() => world);
    homeContract(() => world);
    accessContract(() => world);
    commitContract(
      () => world,
      () => harness,
    );
    modeContract(() => world);
    rolloutContract(() => world);
    vaultContract(() => world);
    backupContract(() => world);
    damageContract(
      () => world,
      () => harness,
    );
  });
}
