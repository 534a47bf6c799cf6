import type { Check } from './check.ts';
import { engineClockCheck, redisClockCheck } from './clocks.ts';
import { configurationCheck } from './configuration.ts';
import { engineDiskCheck, homesDiskCheck } from './disk.ts';
import { engineCheck } from './engine.ts';
import { gatewaysCheck } from './gateways.ts';
import { homesCheck } from './homes.ts';
import { imagesCheck } from './images.ts';
import { leftoversCheck } from './leftovers.ts';
import { memoryCheck } from './memory.ts';
import { redisCheck } from './redis.ts';
import { secretsCheck, terminalSecretCheck } from './secrets.ts';
import { vaultCheck } from './vault.ts';
import { workdirCheck } from './workdir.ts';

/** In the order in which they are told: what all else stands on comes first. */
export const checks: readonly Check[] = [
  configurationCheck,
  secretsCheck,
  terminalSecretCheck,
  redisCheck,
  vaultCheck,
  engineCheck,
  workdirCheck,
  imagesCheck,
  gatewaysCheck,
  redisClockCheck,
  engineClockCheck,
  homesDiskCheck,
  engineDiskCheck,
  homesCheck,
  memoryCheck,
  leftoversCheck,
];
