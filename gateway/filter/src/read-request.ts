import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Refused, refused } from './refused.ts';

/** The body of an ordinary request; `refusedHead` has bounded its length, and the server its time. */
export async function readRequest(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  try {
    for await (const part of request) parts.push(Buffer.from(part));
  } catch {
    throw endedWithin();
  }
  return Buffer.concat(parts);
}

function endedWithin(): Refused {
  return new Refused('the connection ended within a request', 400);
}

/**
 * The body of a request that takes over its connection: Node leaves it to us on the socket. Resolves with nothing more read
 * than it. Throws a Refused where it is late or the connection ends, and where more comes with it: what is typed comes after the answer.
 */
export function readBeforeUpgrade(socket: Socket, head: Buffer, length: number, withinMs: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let body = head;
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      socket.off('readable', take).off('end', cut).off('close', cut);
      settle();
    };
    const cut = (): void => done(() => reject(endedWithin()));
    const take = (): void => {
      for (let part = socket.read(); part !== null && body.length <= length; part = socket.read()) {
        body = Buffer.concat([body, part]);
      }
      if (body.length < length) return;
      if (body.length > length)
        done(() => reject(refused('more than the body', 'what is typed comes after the answer')));
      else done(() => resolve(body));
    };
    const timer = setTimeout(() => {
      done(() =>
        reject(new Refused(`the filtering socket refuses a body that is not there after ${withinMs} ms`, 408)),
      );
    }, withinMs);
    socket.on('readable', take).once('end', cut).once('close', cut);
    take();
  });
}
