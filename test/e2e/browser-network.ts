import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

/** The network between a browser and a gateway. */
export interface Network {
  readonly port: number;
  /** Nothing passes any more and nobody is told, nor are new connections answered. */
  lose(): void;
  /** Serves new connections; those from before are gone, with all that was on its way in them. */
  comeBack(): void;
  close(): Promise<void>;
}

export async function createNetwork(gatewayPort: number): Promise<Network> {
  const sockets = new Set<Socket>();
  let isLost = false;
  const server = createServer({ pauseOnConnect: true }, (client) => {
    sockets.add(client);
    client.on('close', () => sockets.delete(client));
    client.on('error', () => client.destroy());
    if (isLost) return;
    const gateway = connect(gatewayPort, '127.0.0.1');
    sockets.add(gateway);
    for (const [from, to] of [
      [client, gateway],
      [gateway, client],
    ] as const) {
      from.on('data', (chunk) => {
        if (!isLost && !to.write(chunk)) from.pause();
      });
      to.on('drain', () => {
        if (!isLost) from.resume();
      });
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
    client.resume();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the network has no port');
  return {
    port: address.port,
    lose() {
      isLost = true;
      for (const socket of sockets) socket.pause();
    },
    comeBack() {
      isLost = false;
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
