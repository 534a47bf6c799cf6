import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { engineErrorOf } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import type { PullProgress } from '#shared/status.ts';
import type { Engine } from './engine.ts';
import { jsonLines } from './json-lines.ts';
import { loginFor, type RegistryAuth } from './registry-login.ts';

/** The engine tells each layer ten times a second; people are told this often. */
const progressEveryMs = 500;
/** Layers of one image that are counted; images have at most 127. */
const maxLayers = 1024;

/** A size that is not known yet is told as -1; one that is no size at all would make the sum one that JSON cannot hold. */
const maxLayerBytes = 2 ** 43;
const Bytes = z.number().transform((bytes) => Math.min(Math.max(0, bytes), maxLayerBytes));

const PullLine = z.object({
  status: z.string().optional(),
  id: z.string().optional(),
  progressDetail: z.object({ current: Bytes.optional(), total: Bytes.optional() }).optional(),
  error: z.string().optional(),
});

interface Layer {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly done: boolean;
}

/**
 * Pulls one image, with the login for its registry that `dockerConfig` has (a folder; null = none). A fault names the registry,
 * and as whom it was asked.
 */
export async function pullImage(
  of: { readonly engine: Engine; readonly clock: Clock; readonly dockerConfig: string | null },
  reference: string,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const { engine, clock, dockerConfig } = of;
  if (dockerConfig === null) return await followPull(engine, clock, { reference, auth: null }, onProgress, signal);
  const { registry, auth, told } = await loginFor(reference, dockerConfig, signal);
  try {
    await followPull(engine, clock, { reference, auth }, onProgress, signal);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const message = `${error.fault.message} (registry ${registry} was asked ${told})`;
    throw new EngineError({ ...error.fault, message }, { cause: error });
  }
}

/** To its end: an engine answers 200 before it knows whether it can. */
async function followPull(
  engine: Engine,
  clock: Clock,
  { reference, auth }: { readonly reference: string; readonly auth: RegistryAuth | null },
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const { fromImage, tag } = splitReference(reference);
  const silenceMs = engine.timeouts.pullSilenceMs;
  const call = { method: 'POST', path: '/images/create', query: { fromImage, tag } } as const;
  const request = auth === null ? call : { ...call, registryAuth: auth };
  const stream = await engine.open('pull', request, silenceMs, signal);
  const silence = new EngineError({
    operation: 'pull',
    kind: 'timeout',
    status: null,
    message: `no progress for ${silenceMs} ms`,
  });
  const watch = (): (() => void) => clock.after(silenceMs, () => stream.destroy(silence));
  let unwatch = watch();
  const layers = new Map<string, Layer>();
  let toldAt = Number.NEGATIVE_INFINITY;
  try {
    for await (const value of jsonLines(stream)) {
      unwatch();
      unwatch = watch();
      const line = PullLine.parse(value);
      if (line.error !== undefined) throw new Error(line.error);
      if (!noteLayer(layers, line) || clock.monotonicMs() - toldAt < progressEveryMs) continue;
      toldAt = clock.monotonicMs();
      onProgress(progressOf(reference, layers));
    }
    signal.throwIfAborted();
    if (layers.size > 0) onProgress(progressOf(reference, layers));
  } catch (error) {
    signal.throwIfAborted();
    throw engineErrorOf('pull', error);
  } finally {
    unwatch();
    stream.destroy();
  }
}

/** True when the line told something of a layer. */
function noteLayer(layers: Map<string, Layer>, line: z.infer<typeof PullLine>): boolean {
  const { id, status = '', progressDetail = {} } = line;
  if (id === undefined || status.startsWith('Pulling from ')) return false;
  if (!layers.has(id) && layers.size >= maxLayers) return false;
  const before = layers.get(id) ?? { doneBytes: 0, totalBytes: 0, done: false };
  layers.set(id, layerAfter(before, status, progressDetail.current, progressDetail.total));
  return true;
}

/** Bytes count as they are downloaded; unpacking counts the same ones again and is left out. */
function layerAfter(before: Layer, status: string, current = before.doneBytes, total = before.totalBytes): Layer {
  switch (status) {
    case 'Downloading':
      return { doneBytes: current, totalBytes: Math.max(total, current), done: false };
    case 'Download complete':
    case 'Verifying Checksum':
    case 'Extracting':
      return { ...before, doneBytes: before.totalBytes };
    case 'Pull complete':
    case 'Already exists':
      return { ...before, doneBytes: before.totalBytes, done: true };
    default:
      return before;
  }
}

function progressOf(image: string, layers: ReadonlyMap<string, Layer>): PullProgress {
  const all = [...layers.values()];
  return {
    image,
    doneBytes: all.reduce((sum, layer) => sum + layer.doneBytes, 0),
    totalBytes: all.reduce((sum, layer) => sum + layer.totalBytes, 0),
    layersDone: all.filter((layer) => layer.done).length,
    layers: all.length,
  };
}

/** Without a tag the engine would pull every tag that there is. */
function splitReference(reference: string): { fromImage: string; tag: string } {
  const digest = reference.indexOf('@');
  if (digest >= 0) return { fromImage: reference.slice(0, digest), tag: reference.slice(digest + 1) };
  const colon = reference.indexOf(':', reference.lastIndexOf('/') + 1);
  if (colon >= 0) return { fromImage: reference.slice(0, colon), tag: reference.slice(colon + 1) };
  return { fromImage: reference, tag: 'latest' };
}
