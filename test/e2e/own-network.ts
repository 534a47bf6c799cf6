import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream';

/**
 * A browser breaks off what it is loading when an interface comes or goes anywhere on its machine, and here one does with each box.
 * So it gets a network of its own with nothing but a loopback, and reaches this machine's ports through a SOCKS proxy (RFC 1928),
 * which is outside and which it reaches through a relay beside it (`own-network-inside.ts`).
 */
export interface OwnNetwork {
  /** a program that runs the browser in it with the arguments that it gets */
  readonly program: string;
  /** what the browser has to be told */
  readonly flags: readonly string[];
  close(): Promise<void>;
}

/** The network is the browser's alone: any port is free there. */
const insidePort = 1080;
const inside = new URL('own-network-inside.ts', import.meta.url).pathname;

export async function createOwnNetwork(browser: string): Promise<OwnNetwork> {
  const dir = await mkdtemp(join(tmpdir(), 'spoonbox-browser-'));
  const path = join(dir, 'proxy');
  const sockets = new Set<Socket>();
  const proxy = createServer({ allowHalfOpen: true }, (client) => {
    sockets.add(client.once('close', () => sockets.delete(client)));
    serveSocks(client).catch(() => client.destroy());
  });
  await once(proxy.listen(path), 'listening');
  const program = join(dir, 'browser');
  const isRoot = process.getuid?.() === 0;
  const unshare = `unshare ${isRoot ? '' : '--map-root-user '}--net`;
  const command = [process.execPath, inside, String(insidePort), path, browser].map((word) => `'${word}'`).join(' ');
  await writeFile(program, `#!/bin/sh\nexec ${unshare} sh -c 'ip link set lo up && exec "$@"' sh ${command} "$@"\n`, {
    mode: 0o700,
  });
  return {
    program,
    flags: [`--proxy-server=socks5://127.0.0.1:${insidePort}`, '--proxy-bypass-list=<-loopback>'],
    async close() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const version = 5;
const noAuthentication = 0;
const succeeded = Uint8Array.of(version, 0, 0, 1, 0, 0, 0, 0, 0, 0);
const refused = Uint8Array.of(version, 5, 0, 1, 0, 0, 0, 0, 0, 0);
const addressTypes = { ip4: 1, name: 3 };

async function serveSocks(client: Socket): Promise<void> {
  const [, methods] = await read(client, 2);
  await read(client, methods ?? 0);
  client.write(Uint8Array.of(version, noAuthentication));
  const [, , , type] = await read(client, 4);
  const length = type === addressTypes.name ? (await read(client, 1))[0] : 4;
  const address = await read(client, length ?? 0);
  const host = type === addressTypes.name ? address.toString('latin1') : address.join('.');
  const port = (await read(client, 2)).readUInt16BE();
  const server = connect({ host, port, allowHalfOpen: true });
  try {
    await once(server, 'connect');
  } catch {
    client.end(refused);
    return;
  }
  client.write(succeeded);
  joinSockets(client, server);
}

async function read(socket: Socket, bytes: number): Promise<Buffer> {
  for (;;) {
    const chunk: Buffer | null = bytes === 0 ? Buffer.alloc(0) : socket.read(bytes);
    if (chunk !== null) return chunk;
    if (socket.readableEnded || socket.destroyed) throw new Error('the browser went away while it asked the proxy');
    await once(socket, 'readable');
  }
}

export function joinSockets(one: Socket, other: Socket): void {
  pipeline(one, other, () => {});
  pipeline(other, one, () => {});
}
