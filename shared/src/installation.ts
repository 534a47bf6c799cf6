import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, sleep } from './clock.ts';
import { codeOf, exitConfig, StartError } from './faults.ts';
import { InstallationId, installationKey } from './identity.ts';
import type { Logger } from './log.ts';
import type { RedisPort } from './redis-port.ts';

const redisRetryMs = 500;
const fileName = '.spoonbox-installation';

/**
 * The id of this installation: `override`, else the file in the work directory, made once. It is the hash tag of every key
 * and the label of every container, so two installations can share one engine.
 */
export function readInstallation(workdir: string, override: string | null): InstallationId {
  if (override !== null) return checked(override, 'SPOON_INSTALLATION_ID');
  const path = join(workdir, fileName);
  mkdirSync(workdir, { recursive: true });
  try {
    // O_EXCL: of two processes that start at once, one writes and the other reads what it wrote.
    writeFileSync(path, `${randomBytes(6).toString('hex')}\n`, { flag: 'wx' });
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EACCES' || code === 'EROFS') {
      const message = `${path} is not there, and cannot be made (${code}): start the controller once, which makes it, or give this process the right to`;
      throw new StartError(message, 1, { cause: error });
    }
    if (code !== 'EEXIST') throw error;
  }
  return checked(readFileSync(path, 'utf8').trim(), path);
}

/** The same of an installation that is there already: nothing is made. */
export function knownInstallation(workdir: string, override: string | null): InstallationId {
  if (override !== null) return checked(override, 'SPOON_INSTALLATION_ID');
  const path = join(workdir, fileName);
  try {
    return checked(readFileSync(path, 'utf8').trim(), path);
  } catch (error) {
    if (error instanceof StartError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new StartError(
      `No installation is known here (${why}): set SPOON_INSTALLATION_ID, or start the controller once, which makes ${path}`,
      exitConfig,
      { cause: error },
    );
  }
}

/**
 * Says in Redis which installation uses it; a different id there stops the start. Otherwise a lost work directory would
 * come back as a new installation that leaves every box of the old one alone, unseen.
 */
export async function claimRedis(
  redis: RedisPort,
  installation: InstallationId,
  options: { clock: Clock; log: Logger; onProblem: (problem: string | null) => void },
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, onProblem } = options;
  let known: unknown;
  for (let told = false; known === undefined; ) {
    try {
      known = await redis.run('claim-installation', [installationKey], [installation]);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      onProblem(`Redis does not answer: ${reason}`);
      if (!told) log.warn({ reason }, 'Redis does not answer yet; waiting for it');
      told = true;
      await sleep(clock, redisRetryMs, signal);
    }
  }
  onProblem(null);
  if (known === installation) return;
  throw new StartError(
    `Redis holds the state of installation ${String(known)}, and this is ${installation}: set SPOON_INSTALLATION_ID=${String(known)} to go on with it, or use another Redis (SPOON_REDIS_URL)`,
    exitConfig,
  );
}

function checked(text: string, from: string): InstallationId {
  const parsed = InstallationId.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new StartError(`${from}: ${parsed.error.issues[0]?.message ?? 'is no installation id'}, not "${text}"`);
}
