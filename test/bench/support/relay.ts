import { createServer, request } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { z } from 'zod';
import { dockerAddressOf } from './raw-docker.ts';

/**
 * The least that a terminal gateway can be, to weigh ours against: an exec's stream, `ws.send` of what it says, a pause while
 * the socket is behind. No token, no lease, no session, no acks. `ws://127.0.0.1:RELAY_PORT/<container id>`.
 */

const api = '/v1.41';
const highBytes = 1024 * 1024;
const lowBytes = 256 * 1024;
const engine = dockerAddressOf(process.env.DOCKER_HOST);
const server = createServer((_, answer) => answer.end());
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

sockets.on('connection', (socket, { url }) => {
  startShell(url?.slice(1) ?? '').then(
    (stream) => relay(socket, stream),
    (error: unknown) => socket.close(1011, String(error).slice(0, 100)),
  );
});
server.listen(Number(process.env.RELAY_PORT), '127.0.0.1');

function relay(socket: WebSocket, stream: Duplex): void {
  stream.on('data', (chunk: Buffer) => {
    socket.send(chunk, () => {
      if (stream.isPaused() && socket.bufferedAmount <= lowBytes) stream.resume();
    });
    if (socket.bufferedAmount > highBytes) stream.pause();
  });
  socket.on('message', (data) => void stream.write(Buffer.isBuffer(data) ? data : ''));
  stream.on('error', () => {}); // a close follows
  stream.on('close', () => socket.close());
  socket.on('close', () => stream.destroy());
}

function startShell(containerId: string): Promise<Duplex> {
  const terminal = { AttachStdin: true, AttachStdout: true, AttachStderr: true, Tty: true };
  const body = { ...terminal, Cmd: ['/bin/bash', '--login'], Env: ['TERM=xterm-256color', 'SPOONBOX_BENCH=relay'] };
  return new Promise((resolve, reject) => {
    const headers = { host: 'docker', 'content-type': 'application/json' };
    const create = request(
      { ...engine, agent: false, method: 'POST', path: `${api}/containers/${containerId}/exec`, headers },
      (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => {
          text += String(chunk);
        });
        answer.on('end', () => {
          const { Id } = z.object({ Id: z.string() }).parse(JSON.parse(text));
          const upgrade = { ...headers, connection: 'Upgrade', upgrade: 'tcp' };
          const start = request({ ...engine, method: 'POST', path: `${api}/exec/${Id}/start`, headers: upgrade });
          start.on('upgrade', (_, stream, head) => {
            if (head.length > 0) stream.unshift(head);
            resolve(stream);
          });
          start.on('error', reject).end(JSON.stringify({ Detach: false, Tty: true }));
        });
      },
    );
    create.on('error', reject).end(JSON.stringify(body));
  });
}
