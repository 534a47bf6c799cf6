import { apiToken } from '../support/controller-process.ts';

const askWithinMs = 5_000;

/** null = nobody answered. A refusal is an answer. */
export async function ask(
  controller: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: unknown } | null> {
  try {
    const response = await fetch(controller + path, {
      method,
      headers: {
        authorization: `Bearer ${apiToken}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(askWithinMs),
    });
    const text = await response.text();
    return { status: response.status, json: text === '' ? null : JSON.parse(text) };
  } catch {
    return null;
  }
}
