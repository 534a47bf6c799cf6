import { rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';

/** A socket in front of the engine's own, whose connections can be cut or frozen. */
export interface EngineProxy {
  /** in the form of DOCKER_HOST */
  readonly address: string;
  /** Breaks every connection; new ones are served. */
  cut(): void;
  /** Nothing passes any more, and nothing is closed: the other side of a cable that was pulled. */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

export async function createEngineProxy(path: string, engineSocket = '/var/run/docker.sock'): Promise<EngineProxy> {
  const sockets = new Set<Socket>();
  let frozen = false;
  const server = createServer((client) => {
    const engine = connect(engineSocket);
    for (const [from, to] of [
      [client, engine],
      [engine, client],
    ] as const) {
      sockets.add(from);
      if (frozen) from.pause();
      from.on('data', (chunk) => to.write(chunk));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      if (frozen) from.pause();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });

  function cut(): void {
    for (const socket of sockets) socket.destroy();
  }
  return {
    address: `unix://${path}`,
    cut,
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    async close() {
      cut();
      await new Promise((resolve) => server.close(resolve));
      await rm(path, { force: true });
    },
  };
}
