import type { BoxClasses } from '#shared/box-class.ts';
import { type Clock, sleep } from '#shared/clock.ts';
import type { Config } from '#shared/config.ts';
import { connectDocker } from '#shared/docker.ts';
import { EngineError, StartError } from '#shared/faults.ts';
import type { InstallationId } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { defaultClassName } from '#shared/classes.ts';
import type { Health } from './health.ts';
import type { OnLoopEvent } from './loop-events.ts';
import { createDockerRuntime } from './runtime/docker-runtime.ts';
import type { OnEngineCall } from './runtime/engine.ts';
import type { BoxRuntime } from './runtime/port.ts';
import { verifyWorkdir } from './runtime/verify-workdir.ts';

const retryMs = 2_000;

/**
 * Finds the Docker engine, for as long as it takes, and proves that the work directory is the same on both sides. Rejects
 * with a StartError where it is not, and with the signal's reason when aborted.
 */
export async function startEngine(
  options: {
    config: Config;
    installation: InstallationId;
    classes: BoxClasses;
    clock: Clock;
    log: Logger;
    health: Health;
    onEvent: OnLoopEvent;
  },
  signal: AbortSignal,
): Promise<BoxRuntime> {
  const { config, installation, classes, clock, log, health, onEvent } = options;
  const onCall: OnEngineCall = (call, tookMs, fault) => onEvent({ type: 'engine-called', call, tookMs, fault });
  const { workdir, hostWorkdir, dockerConfig } = config;
  const ours = { installation, workdir, hostWorkdir, dockerConfig };
  let told = '';
  for (;;) {
    try {
      const docker = await connectDocker(config.dockerHost);
      const runtime = await createDockerRuntime({ docker, ...ours, clock, log, onCall });
      const image = classes.get(defaultClassName)?.image ?? '';
      if ((await runtime.image(image, signal)).state === 'present') {
        await verifyWorkdir({ docker, installation, workdir, hostWorkdir, image, log }, signal);
      } else log.warn({ image }, 'the work directory could not be verified: the default image is not there yet');
      health.engine(null);
      return runtime;
    } catch (error) {
      signal.throwIfAborted();
      const isMapping = error instanceof StartError && error.message.includes('SPOON_AGENT_');
      if (isMapping || !(error instanceof StartError || error instanceof EngineError)) throw error;
      health.engine(error.message);
      if (error.message !== told)
        log.warn({ reason: error.message }, 'the Docker engine cannot be used yet; trying again');
      told = error.message;
      await sleep(clock, retryMs, signal);
    }
  }
}
