import { connect, createServer, type Socket } from 'node:net';

/** A socket in front of the engine's own that keeps what it was asked. */
export interface RecordingEngine {
  /** in the form of DOCKER_HOST */
  readonly address: string;
  /** First lines of the requests that came since the last time, without `HTTP/1.1`. */
  asked(): string[];
  close(): Promise<void>;
}

export async function createRecordingEngine(
  path: string,
  engineSocket = '/var/run/docker.sock',
): Promise<RecordingEngine> {
  const sockets = new Set<Socket>();
  let text = '';
  const server = createServer((client) => {
    const engine = connect(engineSocket);
    client.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
    });
    client.pipe(engine).pipe(client);
    for (const [from, to] of [
      [client, engine],
      [engine, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => {});
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  return {
    address: `unix://${path}`,
    asked() {
      const lines = [...text.matchAll(/^([A-Z]+ \S+) HTTP\/1\.[01]\r$/gm)].map(([, line]) => line ?? '');
      text = '';
      return lines;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
