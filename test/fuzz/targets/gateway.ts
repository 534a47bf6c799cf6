import { EventEmitter, once } from 'node:events';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { closeNameOf, ServerMessage, terminalProtocol } from '#shared/terminal-protocol.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import { TerminalClient } from '../../../gateway/src/client.ts';
import { protocolDialect, rawDialect } from '../../../gateway/src/dialect.ts';
import { ClientGone } from '../../../gateway/src/ending.ts';
import { defaultLimits } from '../../../gateway/src/limits.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fuzzSecret, fuzzUsers, openGateway } from '../open-gateway.ts';
import { exchange } from '../sockets.ts';
import { must, target } from '../target.ts';
import { cuts, junk, mutated, mutatedText, pieces, text } from '../values.ts';

/** What ws itself closes with: a broken frame, bad UTF-8, a frame that is too large; and what has no close frame. */
const ofWs = new Set([1000, 1001, 1002, 1005, 1006, 1007, 1009]);

type Frame =
  | { readonly text: string }
  | { readonly bytes: Uint8Array }
  | { readonly large: number }
  | { readonly shell: 'says' | 'ends' };

const message = mutated(
  { type: 'hello', cols: 80, rows: 24, token: 'x' },
  { type: 'resize', cols: 80, rows: 24 },
  { type: 'ack', bytes: 1 },
  { type: 'ping', id: 1 },
);
const frame: fc.Arbitrary<Frame> = fc.oneof(
  message.map((value) => ({ text: JSON.stringify(value) ?? '' })),
  fc
    .constantFrom('{"type":"resize","cols":9,"rows":9}', '{"type":"ack","bytes":3}', '{"type":"ping"}')
    .map((sent) => ({ text: sent })),
  junk.map((value) => ({ text: JSON.stringify(value) })),
  text.map((sent) => ({ text: sent })),
  fc.uint8Array({ maxLength: 64 }).map((bytes) => ({ bytes })),
  fc.integer({ min: 1, max: 40_000 }).map((large) => ({ large })),
  fc.constantFrom('says', 'ends').map((shell) => ({ shell })),
);
const hello = JSON.stringify({ type: 'hello', cols: 80, rows: 24 });

/** One client without a network: what any order of frames does to it. */
export const clients = target(
  'a terminal client',
  120,
  fc.record({ raw: fc.boolean(), frames: fc.array(frame, { maxLength: 14 }), connectAt: fc.nat({ max: 14 }) }),
  () => ({
    check({ raw, frames, connectAt }) {
      const clock = new FakeClock();
      const socket = new FakeSocket();
      const dialect = raw ? rawDialect() : protocolDialect;
      const limits = { ...defaultLimits, typeAheadBytes: 30_000 };
      // Of a socket the client uses exactly what the fake has.
      const client = new TerminalClient(
        socket as unknown as WebSocket,
        null,
        dialect,
        { cols: 80, rows: 24 },
        { clock, limits },
      );
      if (!raw) client.hello().catch(() => {});
      if (!raw) socket.emit('message', Buffer.from(hello), false);
      let early = 0;
      let connected = false;
      let late = 0;
      frames.forEach((each, at) => {
        if (at === connectAt) {
          connected = true;
          const input = (bytes: Buffer): void => {
            late += bytes.length;
          };
          client.connect({ input, resize: () => {}, acked: () => {}, end: () => {}, room: () => {} });
        }
        if (socket.paused || 'shell' in each) return;
        const bytes =
          'text' in each
            ? Buffer.from(each.text)
            : 'bytes' in each
              ? Buffer.from(each.bytes)
              : Buffer.alloc(each.large);
        const isBinary = !('text' in each);
        if (!connected && !client.gone.aborted && (isBinary || raw)) early += bytes.length;
        const before = late;
        const wasGone = client.gone.aborted;
        socket.emit('message', bytes, isBinary);
        must(!wasGone || late === before, 'nothing is taken of a client that is gone');
        must(connected || early <= limits.typeAheadBytes || socket.paused, 'what is typed ahead is bounded');
        must(client.size.cols >= 1 && client.size.cols <= 1_000 && Number.isInteger(client.size.rows), 'a size fits');
      });
      for (const sent of socket.sent)
        must(raw || ServerMessage.safeParse(JSON.parse(sent)).success, 'answers are messages');
      socket.readyState = socket.CLOSED;
      socket.emit('close', 1006, Buffer.alloc(0));
      must(client.gone.aborted && client.gone.reason !== undefined, 'a client that closed is gone');
      must(clock.pending === 0 || !(client.gone.reason instanceof ClientGone), 'a client that closed leaves no timer');
    },
  }),
);

class FakeSocket extends EventEmitter {
  readonly OPEN = 1;
  readonly CLOSED = 3;
  readyState = 1;
  binaryType = '';
  bufferedAmount = 0;
  paused = false;
  readonly sent: string[] = [];
  send(data: unknown, ...rest: unknown[]): void {
    if (typeof data === 'string') this.sent.push(data);
    const done = rest.at(-1);
    if (typeof done === 'function') done();
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  ping(): void {}
  terminate(): void {}
  close(): void {
    this.readyState = this.CLOSED;
  }
}

/** Real sockets with good tokens: any frames, any order. */
export const frames = target(
  'WebSocket frames on a gateway',
  6,
  fc.record({
    raw: fc.boolean(),
    mode: fc.constantFrom('rw', 'ro'),
    hello: fc.boolean(),
    frames: fc.array(frame, { maxLength: 12 }),
    user: fc.constantFrom(...fuzzUsers),
  }),
  async () => {
    const { gateway, exec, close } = await openGateway();
    return {
      close,
      async check({ raw, mode, hello: says, frames: sent, user }) {
        const { token } = await signTerminalToken(fuzzSecret, { user, mode: mode === 'ro' ? 'ro' : 'rw' });
        const url = `ws://127.0.0.1:${gateway.port}/v1/terminal${raw ? `?token=${token}` : ''}`;
        const socket = new WebSocket(url, raw ? [] : [terminalProtocol, `token.${token}`]);
        let code = 0;
        const closed = new Promise<void>((resolve) => {
          socket.on('close', (with_) => {
            code = with_;
            resolve();
          });
        });
        socket.on('error', () => {});
        socket.on('message', (data, isBinary) => {
          if (!isBinary && !raw)
            must(ServerMessage.safeParse(JSON.parse(String(data))).success, 'the gateway sends messages');
        });
        await once(socket, 'open');
        if (says && !raw) socket.send(hello);
        for (const each of sent) {
          if (socket.readyState !== WebSocket.OPEN) break;
          if ('shell' in each) {
            const shell = exec.terminals.at(-1);
            if (each.shell === 'says') shell?.stream.destroyed || shell?.says('hello');
            else if (shell?.now.running && !shell.stream.destroyed) shell.ends({ exitCode: 0 });
          } else if ('text' in each) socket.send(each.text);
          else socket.send('bytes' in each ? each.bytes : Buffer.alloc(each.large));
        }
        const answered = new Promise<void>((resolve) => socket.once('pong', () => resolve()));
        if (socket.readyState === WebSocket.OPEN) socket.ping();
        await Promise.race([answered, closed, new Promise((resolve) => setTimeout(resolve, 200))]);
        socket.terminate();
        await closed;
        must(ofWs.has(code) || closeNameOf(code) !== null, `a close has a code of the table, not ${code}`);
      },
    };
  },
);

const upgrade = [
  'GET /v1/terminal?cols=80&rows=24&token=a.b.c HTTP/1.1',
  'Host: gateway',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Protocol: spoonbox.v1, token.a.b.c',
  'Origin: http://x',
  '',
  '',
].join('\r\n');
const withoutToken = upgrade.replace(', token.a.b.c', '').replace('&token=a.b.c', '');

/** Bytes as they come from anybody: broken upgrades, other protocols, headers without end. */
export const rawBytes = target(
  'raw bytes on a gateway',
  5,
  fc.record({
    sent: fc.oneof(
      mutatedText(
        upgrade,
        withoutToken,
        upgrade.replace('/v1/terminal', '/readyz'),
        'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n',
      ).map((one) => Buffer.from(one)),
      fc.uint8Array({ maxLength: 200 }).map((tail) => Buffer.concat([Buffer.from(withoutToken), tail])),
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(20_000, 100_000).map((size) => Buffer.from(upgrade.replace('http://x', 'x'.repeat(size)))),
    ),
    cuts,
  }),
  async () => {
    const { gateway, close } = await openGateway();
    return {
      close,
      async check({ sent, cuts: at }) {
        const answer = (await exchange(gateway.port, pieces(sent, at))).toString('latin1');
        const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? '400';
        must(
          Number(status) < 500 && !/\.ts:\d|node:internal/.test(answer),
          `no failure of ours is answered: ${answer.slice(0, 200)}`,
        );
      },
    };
  },
);
