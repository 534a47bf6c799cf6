import type { FastifyRequest } from 'fastify';

/** Longer ones are none of ours. */
const maxIdChars = 100;

/** The id of the last event that a watcher heard, which a browser's EventSource sends by itself; null = none. */
export function lastEventIdOf(request: Pick<FastifyRequest, 'headers'>): string | null {
  const id = request.headers['last-event-id'];
  return typeof id === 'string' && id !== '' && id.length <= maxIdChars ? id : null;
}

lastEventIdOf.header = { 'last-event-id': 'the id of the last event that was heard: the watch goes on after it' };
