import type { Check } from './check.ts';
import { clocksCheck } from './clocks.ts';
import { configurationCheck } from './configuration.ts';
import { diskCheck } from './disk.ts';
import { engineCheck } from './engine.ts';
import { gatewaysCheck } from './gateways.ts';
import { homesCheck } from './homes.ts';
import { imagesCheck } from './images.ts';
import { leftoversCheck } from './leftovers.ts';
import { memoryCheck } from './memory.ts';
import { redisCheck } from './redis.ts';
import { secretsCheck } from './secrets.ts';
import { vaultCheck } from './vault.ts';
import { workdirCheck } from './workdir.ts';

/** In the order in which they are told: what all else stands on comes first. */
export const checks: readonly Check[] = [
  configurationCheck,
  secretsCheck,
  redisCheck,
  vaultCheck,
  engineCheck,
  workdirCheck,
  imagesCheck,
  gatewaysCheck,
  clocksCheck,
  diskCheck,
  homesCheck,
  memoryCheck,
  leftoversCheck,
];
