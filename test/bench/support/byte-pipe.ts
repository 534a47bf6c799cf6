import { connect, createServer } from 'node:net';
import { dockerAddressOf } from './raw-docker.ts';

/**
 * The least that Node can be between a client and the engine, to weigh a gateway's echo against: bytes from one socket to
 * another, with no WebSocket and nothing looked at. `tcp://127.0.0.1:PIPE_PORT` is the engine then.
 */

const address = dockerAddressOf(process.env.DOCKER_HOST);
const engine =
  'socketPath' in address ? { path: address.socketPath } : { host: address.host, port: Number(address.port) };

createServer({ noDelay: true }, (client) => {
  const upstream = connect({ ...engine, noDelay: true });
  client.pipe(upstream).pipe(client);
  client.on('error', () => {}).on('close', () => upstream.destroy());
  upstream.on('error', () => {}).on('close', () => client.destroy());
}).listen(Number(process.env.PIPE_PORT), '127.0.0.1');
