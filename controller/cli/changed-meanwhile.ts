import type { ApiClient } from '../sdk/api-client.ts';
import { codeOf } from '../sdk/passing.ts';
import { printable } from './output.ts';

/** What was asked of the box lately is among so many events. */
const eventsRead = 50;

/** Why a wish was refused, where that is because of another one: whose. Null for any other refusal. */
export async function changedMeanwhile(
  client: Pick<ApiClient, 'events'>,
  user: string,
  refusal: unknown,
  signal: AbortSignal,
): Promise<string | null> {
  if (codeOf(refusal) !== 'precondition-failed') return null;
  const events = await client.events(user, eventsRead, signal).catch(() => []);
  signal.throwIfAborted();
  const wish = events.find(({ reason }) => reason === 'Wish');
  return `it was changed meanwhile${wish === undefined ? '' : ` (${printable(wish.message)})`}: look again, and decide anew`;
}
