import { EngineError, StartError } from '#shared/faults.ts';
import { type DoctorReport, failure, type Finding, warning } from '#shared/finding.ts';
import { version } from '#shared/version.ts';
import type { HostEngine } from '../runtime/host-port.ts';
import { type Check, type CheckDeps, NotChecked } from './check.ts';
import { checks } from './checks.ts';

/** Helper containers on a busy engine are slow. */
const checkWithinMs = 45_000;
/** A check whose time is over may say within this how far it came. */
const lastWordsWithinMs = 1_000;

export interface Doctor {
  /** Never rejects but with the signal's reason: what cannot be checked is a line of its own. */
  examine(signal: AbortSignal): Promise<DoctorReport>;
}

export function createDoctor(deps: Omit<CheckDeps, 'engine'>, withinMs = checkWithinMs): Doctor {
  return {
    async examine(signal) {
      let connected: Promise<HostEngine> | null = null;
      const whole: CheckDeps = {
        ...deps,
        engine() {
          connected ??= deps.connect();
          return connected.catch(() => {
            throw new NotChecked('the engine cannot be used');
          });
        },
      };
      const found = await Promise.all(checks.map((check) => withinLimit(check, whole, withinMs, signal)));
      signal.throwIfAborted();
      const consoleOrigin = new URL(deps.config.publicUrl).origin;
      return { version, consoleOrigin, items: found.flat() };
    },
  };
}

async function withinLimit(
  { name, run, needsRedis = false }: Check,
  deps: CheckDeps,
  withinMs: number,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const limit = AbortSignal.timeout(withinMs);
  const over = AbortSignal.timeout(withinMs + lastWordsWithinMs);
  const late = new Promise<never>((_resolve, reject) => {
    over.addEventListener('abort', () => reject(over.reason), { once: true });
  });
  try {
    return await Promise.race([run(deps, AbortSignal.any([signal, limit])), late]);
  } catch (error) {
    if (error instanceof NotChecked) return [notChecked(name, error.message)];
    if (limit.aborted) {
      const seconds = Math.round(withinMs / 1_000);
      return [failure(name, `the check did not end within ${seconds} s`, 'look at the load of this machine')];
    }
    if (needsRedis && !(await answers(deps.readRedis()))) return [notChecked(name, 'Redis does not answer')];
    const message = error instanceof Error ? error.message : String(error);
    const isTold = error instanceof EngineError || error instanceof StartError;
    return [failure(name, message, isTold ? "look at the engine's log" : "look at the controller's log")];
  }
}

function notChecked(name: string, why: string): Finding {
  return warning(name, `not checked: ${why}`, 'mend that first');
}

async function answers(asked: Promise<unknown>): Promise<boolean> {
  return await asked.then(
    () => true,
    () => false,
  );
}
