import { createHash } from 'node:crypto';
import { finished } from 'node:stream/promises';
import { z } from 'zod';
import type { Clock } from '#shared/clock.ts';
import { engineCall } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import { DriftKind, type HomeWritten } from '#shared/vault-status.ts';
import { writeVault as operation } from '../box/vault.ts';
import type { Engine } from './engine.ts';
import { CreatedExec, endOf } from './exec.ts';
import { createFrameReader, createOutputTail } from './output.ts';
import type { HomeVault } from './port.ts';
import { vaultScript } from './vault-script.ts';

/** In the box it is killed before it is given up here, so that two of them are never under way for long. */
const killAfterS = 20;
const withinMs = 25_000;
/** What a box answers is its user's: more than this is no answer. Every path of a vault, each with its words, is less. */
const maxAnswerBytes = 256 * 1024;

/** See the port. */
export async function writeVault(
  engine: Engine,
  clock: Clock,
  id: string,
  vault: HomeVault,
  signal: AbortSignal,
): Promise<HomeWritten> {
  const tail = createOutputTail();
  const parts: Buffer[] = [];
  let bytes = 0;
  const read = createFrameReader((part, isError) => {
    if (isError || bytes > maxAnswerBytes) return;
    parts.push(part);
    bytes += part.length;
  });
  const run = async (limit: AbortSignal): Promise<number> => {
    const { changeMs } = engine.timeouts;
    const body = { Cmd: command, AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: false };
    const creation = { method: 'POST', path: `/containers/${id}/exec`, body } as const;
    const exec = await engine.ask(operation, creation, CreatedExec, changeMs, limit);
    const start = { method: 'POST', path: `/exec/${exec.Id}/start`, body: { Detach: false, Tty: false } } as const;
    const stream = await engine.take(operation, start, changeMs, limit);
    stream.on('data', (chunk: Buffer) => {
      tail.push(chunk);
      read(chunk);
    });
    // What could not be sent shows in how it ends.
    stream.write(vaultInput(vault), () => {});
    await finished(stream, { writable: false, signal: limit }).finally(() => stream.destroy());
    return await endOf({ engine, clock, operation, execId: exec.Id }, limit);
  };
  const exitCode = await engineCall(operation, withinMs, run, signal);
  const written = writtenOf(Buffer.concat(parts).toString('utf8'), vault);
  if (exitCode === 0 && written !== null) return written;
  const why = tail.lastLine() || 'it did not say why';
  const message = `the vault was not written into the home (exit code ${exitCode}): ${why}`;
  throw new EngineError({ operation, kind: 'failed', status: null, message });
}

const limitS = String(killAfterS);
const command = ['timeout', '-s', 'KILL', limitS, '/bin/sh', '-c', vaultScript, 'spoonbox-vault', limitS];

/** What the script reads; see there. */
export function vaultInput({ revision, files, orders }: HomeVault): Buffer {
  const orderOf = new Map(orders.map((order) => [order.path, order]));
  const present = files.map(({ path, mode, content }) => {
    const order = orderOf.get(path);
    const [word, since] = order?.order === 'take' ? ['take', order.revision] : ['put', revision];
    const hash = createHash('sha256').update(content).digest('hex');
    return `${word} ${since} ${mode.toString(8)} ${hash} ${content.length} /${path}/`;
  });
  const paths = new Set(files.map(({ path }) => path));
  const gone = orders
    .filter(({ order, path }) => order === 'drop' && !paths.has(path))
    .map(({ path, revision: since }) => `drop ${since} - - 0 /${path}/`);
  const contents = files.map(({ content }) => content);
  const bytes = contents.reduce((sum, { length }) => sum + length, 0);
  const lines = [`${present.length + gone.length} ${bytes} ${revision}`, ...present, ...gone];
  return Buffer.concat([Buffer.from(`${lines.join('\n')}\n`), ...contents]);
}

const Line = z.union([
  z.tuple([DriftKind, z.string()]),
  z.tuple([z.literal('failed'), z.string(), z.string()]),
  z.tuple([z.literal('done')]),
]);

/** null: it did not come to its end, or says what no vault of ours could be the cause of. */
export function writtenOf(answer: string, { revision, files, orders }: HomeVault): HomeWritten | null {
  const known = new Set([...files, ...orders].map(({ path }) => path));
  const drift: HomeWritten['drift'] = [];
  const failed: { path: string; why: string }[] = [];
  const lines = answer.split('\n');
  if (lines.at(-1) !== '' || lines.at(-2) !== 'done') return null;
  for (const text of lines.slice(0, -2)) {
    const line = Line.safeParse(text.split('\t'));
    if (!line.success) return null;
    const [what, path = '', why = ''] = line.data;
    if (!known.has(path)) return null;
    if (what === 'failed') failed.push({ path, why });
    else if (what !== 'done') drift.push({ path, how: what });
  }
  return { revision, drift, failed };
}
