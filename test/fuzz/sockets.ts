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
