import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { z } from 'zod';
import { BoxView } from '#shared/api-schemas.ts';
import type { UserName } from '#shared/identity.ts';
import type { Condition, ConditionType } from '#shared/status.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { until } from './installation.ts';

const defaultClass = new URL('../../manifests/classes/default.yaml', import.meta.url).pathname;

/** A folder for SPOON_CLASSES: the default class, and one more for each entry, with these fields in place of its own. */
export async function classesFolder(
  folder: string,
  classes: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  const text = await readFile(defaultClass, 'utf8');
  const base = z.record(z.string(), z.unknown()).parse(parse(text));
  await writeFile(join(folder, 'default.yaml'), text);
  for (const [name, fields] of Object.entries(classes)) {
    await writeFile(join(folder, `${name}.yaml`), stringify({ ...base, name, ...fields }));
  }
  return folder;
}

/**
 * Waits until the box is as described; an error shows what it is instead. A box that is not known, and a Redis that does
 * not answer, are waited for too.
 */
export async function seen(
  controller: ControllerProcess,
  user: UserName,
  what: string,
  isSo: (box: BoxView) => boolean,
): Promise<BoxView> {
  let last: unknown = null;
  const look = async (): Promise<BoxView | null> => {
    const { status, json } = await controller.ask('GET', `/v1/boxes/${user}`);
    last = json;
    if (status === 404 || status === 503) return null;
    const box = BoxView.parse(json);
    return isSo(box) ? box : null;
  };
  try {
    return await until(`${user}: ${what}`, look);
  } catch (error) {
    throw new Error(`${user}: ${what}; it is ${JSON.stringify(last, null, 1)}\n${tail(controller)}`, { cause: error });
  }
}

export function condition(box: BoxView, type: ConditionType): Pick<Condition, 'status' | 'reason' | 'message'> {
  const found = box.conditions.find((candidate) => candidate.type === type);
  if (found === undefined) throw new Error(`there is no condition ${type}: ${JSON.stringify(box.conditions)}`);
  return { status: found.status, reason: found.reason, message: found.message };
}

export async function takeLease(
  controller: ControllerProcess,
  user: UserName,
  options: { id?: string; class?: string; waitMs?: number } = {},
): Promise<{ status: number; json: unknown }> {
  const body = { kind: 'job', holder: 'test', ttlMs: 300_000, ...(options.class && { class: options.class }) };
  const path = `/v1/boxes/${user}/leases/${options.id ?? 'job'}?waitMs=${options.waitMs ?? 0}`;
  return await controller.ask('PUT', path, body);
}

export async function releaseLease(controller: ControllerProcess, user: UserName, id = 'job'): Promise<void> {
  const { status } = await controller.ask('DELETE', `/v1/boxes/${user}/leases/${id}`);
  if (status !== 200) throw new Error(`release of ${id} of ${user}: ${status}`);
}

/** What `/readyz` says is missing. */
export async function notReady(controller: ControllerProcess): Promise<string> {
  return await until('/readyz says what is missing', async () => {
    // Before it listens a connection is refused.
    const answer = await controller.ask('GET', '/readyz').catch(() => null);
    return answer?.status === 503 ? Reasons.parse(answer.json).reasons.join('; ') : null;
  });
}
const Reasons = z.object({ reasons: z.array(z.string()) });

/** Waits until every box that runs has its time, and Redis is trusted again. */
export async function trusted(controller: ControllerProcess): Promise<void> {
  await until('Redis is trusted again', async () => {
    const { json } = await controller.ask('GET', '/readyz');
    return Trusted.safeParse(json).success;
  });
}
const Trusted = z.object({
  ok: z.literal(true),
  leader: z.object({ leads: z.literal(true), term: z.object({ amnesty: z.null(), lastResyncAgoMs: z.number() }) }),
});

/** What a process wrote that is no log line: the words for whoever started it. */
export function words(process: { readonly lines: readonly string[] }): string[] {
  return process.lines.filter((line) => !line.startsWith('{'));
}

function tail({ lines }: { readonly lines: readonly string[] }): string {
  return lines
    .filter((line) => !line.includes('"msg":"request"'))
    .slice(-25)
    .join('\n');
}
