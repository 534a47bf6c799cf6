import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { engineCall } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import { type InstallationId, label } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { anyAnswer, type Engine } from './engine.ts';
import { createFrameReader, createOutputTail } from './output.ts';

/** A helper that is older than this was left behind by a crash: it could not live so long otherwise. */
const leftAfterS = 600;
/** Lines of a helper's output that are read, unless it says more. */
const outputLines = 20;

export interface Helper {
  /** the operation that faults are named after */
  readonly operation: string;
  readonly image: string;
  readonly command: readonly string[];
  readonly mounts: readonly object[];
  readonly capabilities: readonly string[];
  /** `uid:gid`; root, where it is not said */
  readonly user?: string;
  readonly environment?: readonly string[];
  /** of its output, the last of which are read */
  readonly lines?: number;
}

export interface HelperEnd {
  readonly exitCode: number;
  /** the last line that is not empty, of its errors where there are any */
  readonly lastLine: string;
  /** the last lines of both its streams, as they came */
  readonly output: string;
}

export interface HelperRun {
  readonly engine: Engine;
  readonly installation: InstallationId;
  readonly log: Logger;
}

/**
 * Runs a one-shot container, without a network and with the named capabilities only, and answers its exit code and
 * what it printed last. It is removed here and not by the engine (AutoRemove), which would race with the reading
 * of both; what a crash leaves is found by `removeLeftHelpers`.
 */
export async function runHelper(
  { engine, installation, log }: HelperRun,
  helper: Helper,
  signal: AbortSignal,
): Promise<HelperEnd> {
  const { changeMs, readMs, helperMs } = engine.timeouts;
  const { operation } = helper;
  const name = `spoonbox-helper-${randomBytes(8).toString('hex')}`;
  const path = `/containers/${name}`;

  async function run(limit: AbortSignal): Promise<HelperEnd> {
    const body = helperBody(installation, helper);
    const creation = { method: 'POST', path: '/containers/create', query: { name }, body } as const;
    await engine.ask(operation, creation, anyAnswer, changeMs, limit);
    await engine.ask(operation, { method: 'POST', path: `${path}/start` }, anyAnswer, changeMs, limit);
    const end = await engine.ask(operation, { method: 'POST', path: `${path}/wait` }, WaitAnswer, helperMs, limit);
    const query = { stdout: true, stderr: true, tail: helper.lines ?? outputLines };
    const logs = { method: 'GET', path: `${path}/logs`, query } as const;
    const printed = await engine.ask(operation, logs, z.instanceof(Buffer), readMs, limit);
    const output = createOutputTail();
    output.push(printed);
    const parts: Buffer[] = [];
    createFrameReader((part) => parts.push(part))(printed);
    return { exitCode: end.StatusCode, lastLine: output.lastLine(), output: Buffer.concat(parts).toString('utf8') };
  }

  try {
    return await engineCall(operation, helperMs, run, signal);
  } finally {
    // Also after an abort, so with a signal of its own; a failed clean-up must not hide what happened.
    await removeHelper(engine, operation, name, new AbortController().signal).catch((error: unknown) => {
      log.warn({ error, container: name }, 'a helper container could not be removed; it is tried again later');
    });
  }
}

/** Of a helper that should have ended with 0. */
export function helperFault(operation: string, { exitCode, lastLine }: HelperEnd): EngineError {
  const message = lastLine || `the helper container ended with exit code ${exitCode} and no word`;
  return new EngineError({ operation, kind: 'failed', status: null, message });
}

/** Ages are told by the engine's own clock, which may be another machine's. */
export async function removeLeftHelpers({ engine, installation, log }: HelperRun, signal: AbortSignal): Promise<void> {
  const operation = 'removeLeftHelpers';
  const { readMs } = engine.timeouts;
  const labels = [`${label.installation}=${installation}`, `${label.role}=helper`];
  const query = { all: true, filters: JSON.stringify({ label: labels }) };
  const listing = { method: 'GET', path: '/containers/json', query } as const;
  const helpers = await engine.ask(operation, listing, HelperList, readMs, signal);
  if (helpers.length === 0) return;
  const info = await engine.ask(operation, { method: 'GET', path: '/info' }, EngineInfo, readMs, signal);
  const leftBeforeS = Date.parse(info.SystemTime) / 1000 - leftAfterS;
  for (const helper of helpers.filter(({ Created }) => Created < leftBeforeS)) {
    await removeHelper(engine, operation, helper.Id, signal);
    log.info({ container: helper.Id }, 'removed a helper container that a crash had left behind');
  }
}

/** By force: a helper is ours alone and holds nothing. Gone, or going, is success. */
async function removeHelper(engine: Engine, operation: string, name: string, signal: AbortSignal): Promise<void> {
  const request = { method: 'DELETE', path: `/containers/${name}`, query: { force: true } } as const;
  try {
    await engine.ask(operation, request, anyAnswer, engine.timeouts.changeMs, signal);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    if (error.fault.kind !== 'not-found' && error.fault.kind !== 'conflict') throw error;
  }
}

const WaitAnswer = z.object({ StatusCode: z.number() });
const HelperList = z.array(z.object({ Id: z.string(), Created: z.number() }));
const EngineInfo = z.object({ SystemTime: z.string() });

function helperBody(installation: InstallationId, helper: Helper): object {
  return {
    Image: helper.image,
    Entrypoint: helper.command,
    Cmd: [],
    User: helper.user ?? '0:0',
    Env: helper.environment ?? [],
    WorkingDir: '/',
    Healthcheck: { Test: ['NONE'] },
    Labels: { [label.installation]: installation, [label.role]: 'helper' },
    HostConfig: {
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      CapAdd: helper.capabilities,
      SecurityOpt: ['no-new-privileges'],
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '1' } },
      Mounts: helper.mounts,
    },
  };
}
