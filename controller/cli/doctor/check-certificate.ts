import { connect, type TLSSocket } from 'node:tls';
import { failure, type Finding, ok, warning } from '#shared/finding.ts';
import { humanCount } from '#shared/human-count.ts';

const answerWithinMs = 5_000;
const dayMs = 86_400_000;
const renewBeforeDays = 14;
const mend = 'renew it, and let the proxy read it anew';

/** The certificates of the hosts that these URLs name, one finding for each; none where there is no TLS. `nowMs`: since 1970. */
export async function checkCertificates(
  urls: readonly string[],
  nowMs: number,
  signal: AbortSignal,
): Promise<Finding[]> {
  const hosts = new Map<string, URL>();
  for (const url of urls.map((text) => new URL(text))) {
    if (url.protocol === 'https:' || url.protocol === 'wss:') hosts.set(url.host, url);
  }
  return await Promise.all([...hosts.values()].map((url) => checkCertificate(url, nowMs, signal)));
}

async function checkCertificate({ host, hostname, port }: URL, nowMs: number, signal: AbortSignal): Promise<Finding> {
  const check = `certificate of ${host}`;
  let socket: TLSSocket;
  try {
    socket = await connected(hostname.replace(/^\[|\]$/g, ''), Number(port || 443), signal);
  } catch (error) {
    signal.throwIfAborted();
    return failure(check, error instanceof Error ? error.message : String(error), 'let the proxy serve TLS there');
  }
  const { valid_to: validTo } = socket.getPeerCertificate();
  const { authorized, authorizationError } = socket;
  socket.destroy();
  const days = Math.floor((Date.parse(validTo) - nowMs) / dayMs);
  if (days < 0) return failure(check, `expired ${validTo}`, mend);
  if (!authorized) {
    const found = `is not trusted here (${String(authorizationError)})`;
    return failure(check, found, 'use one of a known authority for this name, or name yours with NODE_EXTRA_CA_CERTS');
  }
  const found = `valid for ${humanCount(days, 'more day')}`;
  return days < renewBeforeDays ? warning(check, found, mend) : ok(check, found);
}

function connected(host: string, port: number, signal: AbortSignal): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // Whether it is trusted is told, not thrown.
    const socket = connect({ host, port, servername: /^[\d.:]+$/.test(host) ? '' : host, rejectUnauthorized: false });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]);
    const end = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    limit.addEventListener('abort', () => end(new Error('no TLS handshake in time')), { once: true });
    socket.once('secureConnect', () => resolve(socket));
    socket.once('error', end);
  });
}
