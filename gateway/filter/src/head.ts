import type { IncomingMessage } from 'node:http';
import { Refused, refused } from './refused.ts';

/**
 * What the head of a request may say beside its first line. None of it is passed on, so this only keeps the two sides from ever
 * disagreeing about where a request ends: one length, said once, and no chunks.
 */
export function refusedHead(request: IncomingMessage, bodyBytes: number): Refused | null {
  const names = new Set<string>();
  for (let at = 0; at < request.rawHeaders.length; at += 2) {
    const name = request.rawHeaders[at]?.toLowerCase() ?? '';
    if (names.has(name)) return refused(`a second ${name} header`, 'each may be there once');
    names.add(name);
  }
  if (request.httpVersion !== '1.1') return refused(`HTTP/${request.httpVersion}`, 'only HTTP/1.1');
  for (const name of ['transfer-encoding', 'expect', 'trailer', 'te']) {
    if (names.has(name)) return refused(`the header ${name}`, 'a body has a Content-Length and comes as it is');
  }
  const length = lengthOf(request);
  if (length === null) return refused('this Content-Length', 'it is no plain number');
  if (length > bodyBytes)
    return new Refused(`the filtering socket refuses a body of ${length} bytes: at most ${bodyBytes}`, 413);
  if (length > 0 && request.method !== 'POST') return refused(`a body of ${request.method}`, 'only POST has one');
  return null;
}

/** Length of the body; null where it is not said in plain digits. */
export function lengthOf(request: IncomingMessage): number | null {
  const text = request.headers['content-length'] ?? '0';
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : null;
}
