import { connect, createServer, type Socket } from 'node:net';
import { dockerAddressOf } from './raw-docker.ts';

/**
 * The least that Node can be between a client and the engine, to weigh a gateway's echo against: bytes from one socket to
 * another, with no WebSocket and nothing looked at. `tcp://127.0.0.1:PIPE_PORT` is the engine then, or what PIPE_TO names
 * (`tcp://127.0.0.1:3921`). With PIPE_DELAY_MS it is a network that takes so long, each way.
 */

const address = dockerAddressOf(process.env.PIPE_TO ?? process.env.DOCKER_HOST);
const upstreamAddress =
  'socketPath' in address ? { path: address.socketPath } : { host: address.host, port: Number(address.port) };
const delayMs = Number(process.env.PIPE_DELAY_MS ?? 0);

createServer({ noDelay: true }, (client) => {
  const upstream = connect({ ...upstreamAddress, noDelay: true });
  client.on('error', () => {});
  upstream.on('error', () => {});
  if (delayMs > 0) {
    passLater(client, upstream);
    passLater(upstream, client);
  } else {
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  }
}).listen(Number(process.env.PIPE_PORT), '127.0.0.1');

function passLater(from: Socket, to: Socket): void {
  from.on('data', (bytes) => setTimeout(() => to.write(bytes), delayMs));
  from.on('close', () => setTimeout(() => to.destroy(), delayMs));
}
