import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { ClientFile } from './installation.ts';
import { Refusal } from './refusal.ts';

const pollMs = 250;
/** Stop graces run side by side; beyond this something is stuck, and the operator should look. */
const reapedWithinMs = 180_000;
const answerTimeoutMs = 10_000;
const namesShown = 5;

const Boxes = z.object({ items: z.array(z.looseObject({ user: z.string(), phase: z.string() })) });

/** Reaps every box through the API and waits until none is left. Returns how many there were. */
export async function reapAll(
  client: ClientFile,
  onProgress: (text: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const asked = new Set<string>();
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    const left = (await boxes(client, signal)).filter((box) => box.phase !== 'absent');
    if (left.length === 0) return asked.size;
    for (const { user } of left.filter((box) => !asked.has(box.user))) {
      await call(client, `/v1/boxes/${encodeURIComponent(user)}/actions`, { action: 'reap' }, signal);
      asked.add(user);
    }
    const shown = left.slice(0, namesShown).map((box) => `${box.user} (${box.phase})`);
    const more = left.length > namesShown ? ` and ${left.length - namesShown} more` : '';
    if (waitedMs >= reapedWithinMs) {
      throw new Refusal(
        `after ${reapedWithinMs / 1_000} s these boxes are still there: ${shown.join(', ')}${more}; look at the controller's log`,
      );
    }
    onProgress(`${asked.size - left.length} of ${asked.size} reaped; waiting for ${shown.join(', ')}${more}`);
    await sleep(pollMs, undefined, { signal });
  }
}

async function boxes(client: ClientFile, signal: AbortSignal): Promise<z.infer<typeof Boxes>['items']> {
  const answer = Boxes.safeParse(await call(client, '/v1/boxes', undefined, signal));
  if (!answer.success)
    throw new Refusal(`the controller's list of boxes is not understood: ${z.prettifyError(answer.error)}`);
  return answer.data.items;
}

async function call(client: ClientFile, path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
  const response = await fetch(`${client.server}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      authorization: `Bearer ${client.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerTimeoutMs)]),
  });
  const text = await response.text();
  if (!response.ok) throw new Refusal(`the controller refused ${path} (${response.status}): ${text.slice(0, 300)}`);
  return text === '' ? undefined : JSON.parse(text);
}
