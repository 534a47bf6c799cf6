import { connect } from 'node:net';

const hangMs = 5_000;

/** Sends bytes as they are, ends its side, and answers with all that came back until the server closed. */
export function exchange(port: number, chunks: readonly Uint8Array[]): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const got: Buffer[] = [];
    const socket = connect({ port, host: '127.0.0.1' });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the server did not close within ${hangMs} ms of the client's end`));
    }, hangMs);
    socket.on('data', (bytes) => got.push(bytes));
    socket.on('error', () => {}); // a server may cut a connection that it does not like
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(got));
    });
    socket.on('connect', () => {
      for (const chunk of chunks) socket.write(chunk);
      socket.end();
    });
  });
}

/**
 * Opens a connection with `head`, sends the chunks once it was answered, and answers with all that came back until the server
 * closed, said `last`, or was silent for `patienceMs` (a frame that says it is longer than it is leaves a server waiting).
 */
export function converse(
  port: number,
  head: Uint8Array,
  chunks: readonly Uint8Array[],
  last: Buffer,
  patienceMs: number,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let got = Buffer.alloc(0);
    let answered = false;
    const socket = connect({ port, host: '127.0.0.1' });
    let timer = setTimeout(() => {
      socket.destroy();
      reject(new Error(`the server did not answer within ${hangMs} ms`));
    }, hangMs);
    socket.on('data', (bytes) => {
      got = Buffer.concat([got, bytes]);
      if (!answered) {
        answered = true;
        for (const chunk of chunks) socket.write(chunk);
      }
      clearTimeout(timer);
      timer = setTimeout(() => socket.destroy(), patienceMs);
      if (got.includes(last)) socket.destroy();
    });
    socket.on('error', () => {}); // a server may cut a connection that it does not like
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(got);
    });
    socket.on('connect', () => void socket.write(head));
  });
}

/** Sockets of this process that are open; servers that listen, too. */
export function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;
}

/** Throws unless there are as few sockets as before, at the latest after a moment. */
export async function noneLeft(before: number): Promise<void> {
  for (let look = 0; openSockets() > before; look += 1) {
    if (look > 100) throw new Error(`${openSockets() - before} sockets are left open`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
