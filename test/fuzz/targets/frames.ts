import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { terminalLimits, terminalProtocol } from '#shared/terminal-protocol.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import { fuzzSecret, fuzzUsers, openGateway } from '../open-gateway.ts';
import { converse } from '../sockets.ts';
import { must, target } from '../target.ts';
import { cuts, pieces, text } from '../values.ts';

/** A frame as RFC 6455 has it, with every field as odd as its bits allow. */
interface OddFrame {
  readonly fin: boolean;
  /** 1 = the compressed bit, which nobody negotiated */
  readonly reserved: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly body: Uint8Array;
  /** what it says of its length: the truth, in too many bytes, or a lie */
  readonly length: 'true' | 'long' | 'longest' | 'huge' | 'one-more' | 'too-large';
}

const body = fc.oneof(
  { weight: 3, arbitrary: text.map((word) => Buffer.from(word)) },
  fc
    .constantFrom(
      '{"type":"hello","cols":80,"rows":24}',
      '{"type":"resize","cols":1,"rows":1000}',
      '{"type":"ack","bytes":1}',
      '{"type":"ping","id":1}',
      '{"type":',
    )
    .map((json) => Buffer.from(json)),
  fc.uint8Array({ maxLength: 140 }),
  // a close with a code that may be sent, or may not
  fc.constantFrom(0, 999, 1000, 1005, 1006, 1015, 2999, 3000, 4001, 65_535).map((code) => {
    return Buffer.from([code >> 8, code & 255, 0x62, 0xff]);
  }),
);
const oddFrame: fc.Arbitrary<OddFrame> = fc.record({
  fin: fc.oneof({ weight: 4, arbitrary: fc.constant(true) }, fc.boolean()),
  reserved: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.nat({ max: 7 })),
  opcode: fc.oneof({ weight: 6, arbitrary: fc.constantFrom(0, 1, 2, 2, 8, 9, 10) }, fc.nat({ max: 15 })),
  masked: fc.oneof({ weight: 8, arbitrary: fc.constant(true) }, fc.constant(false)),
  body,
  length: fc.oneof(
    { weight: 8, arbitrary: fc.constant('true' as const) },
    fc.constantFrom('long', 'longest', 'huge', 'one-more', 'too-large'),
  ),
});
/** A message in fragments, with control frames between them: the frames that most readers get wrong. */
const fragments: fc.Arbitrary<OddFrame[]> = fc
  .record({ opcode: fc.constantFrom(1, 2), parts: fc.array(body, { minLength: 2, maxLength: 6 }), pings: fc.boolean() })
  .map(({ opcode, parts, pings }) =>
    parts.flatMap((part, at): OddFrame[] => {
      const plain = { reserved: 0, masked: true, length: 'true' } as const;
      const fragment = { ...plain, fin: at === parts.length - 1, opcode: at === 0 ? opcode : 0, body: part };
      const ping = { ...plain, fin: true, opcode: 9, body: Buffer.from('p') };
      return pings && at > 0 ? [ping, fragment] : [fragment];
    }),
  );
const noise = fc.uint8Array({ maxLength: 60 });
const hello: OddFrame = {
  ...{ fin: true, reserved: 0, opcode: 1, masked: true, length: 'true' },
  body: Buffer.from('{"type":"hello","cols":80,"rows":24}'),
};

/** In a ping at the end: a server that follows so far gives it back. */
const lastWord = Buffer.from('last word of the fuzzer');
const patienceMs = 40;

/** Bytes after a good upgrade with a good token: any frames, whole or broken, cut anywhere. */
export const rawFrames = target(
  'raw frames on a gateway',
  10,
  fc.record({
    raw: fc.boolean(),
    greets: fc.boolean(),
    frames: fc.array(fc.oneof({ weight: 4, arbitrary: oddFrame.map((one) => [one]) }, fragments), { maxLength: 6 }),
    tail: fc.oneof({ weight: 3, arbitrary: fc.constant(new Uint8Array()) }, noise),
    user: fc.constantFrom(...fuzzUsers),
    cuts,
  }),
  async () => {
    const { gateway, close } = await openGateway();
    return {
      close,
      async check({ raw, greets, frames, tail, user, cuts: at }) {
        const { token } = await signTerminalToken(fuzzSecret, { user, mode: 'rw' });
        const sent = Buffer.concat([
          ...(greets ? [bytesOf(hello)] : []),
          ...frames.flat().map(bytesOf),
          tail,
          bytesOf({ ...hello, opcode: 9, body: lastWord }),
        ]);
        const answer = await converse(gateway.port, upgradeOf(raw, token), pieces(sent, at), lastWord, patienceMs);
        const end = answer.indexOf('\r\n\r\n');
        const head = answer.subarray(0, end).toString('latin1');
        must(head.startsWith('HTTP/1.1 101 '), `a good upgrade is answered with 101: ${head.slice(0, 100)}`);
        must(!/sec-websocket-extensions/i.test(head), 'no compression is agreed upon');
        for (const { opcode, reserved, payload } of framesIn(answer.subarray(end + 4))) {
          must(reserved === 0 && [1, 2, 8, 9, 10].includes(opcode), 'the gateway sends plain, whole frames');
          if (opcode !== 8 || payload.length === 0) continue;
          const code = payload.readUInt16BE(0);
          must(maySend(code), `a close has a code that may be sent, not ${code}`);
          must(payload.length <= 125, 'a reason fits into a close frame');
        }
      },
    };
  },
);

/** One of ours, one of ws, or the one that the client closed with, which is given back: never one that is for no frame. */
function maySend(code: number): boolean {
  return (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
}

function upgradeOf(raw: boolean, token: string): Buffer {
  const lines = [
    `GET /v1/terminal${raw ? `?token=${token}` : ''} HTTP/1.1`,
    'Host: gateway',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    'Sec-WebSocket-Extensions: permessage-deflate',
    ...(raw ? [] : [`Sec-WebSocket-Protocol: ${terminalProtocol}, token.${token}`]),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

function bytesOf({ fin, reserved, opcode, masked, body: payload, length }: OddFrame): Buffer {
  const first = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  const head = Buffer.concat([Buffer.from([first]), lengthOf(payload.length, length, masked ? 0x80 : 0)]);
  if (!masked) return Buffer.concat([head, payload]);
  const key = [0x11, 0x22, 0x33, 0x44];
  return Buffer.concat([head, Buffer.from(key), payload.map((byte, at) => byte ^ (key[at % 4] ?? 0))]);
}

function lengthOf(bytes: number, how: OddFrame['length'], mask: number): Buffer {
  if (how === 'true' && bytes < 126) return Buffer.from([mask | bytes]);
  if (how === 'true' || how === 'long' || how === 'one-more') {
    const said = Buffer.from([mask | 126, 0, 0]);
    said.writeUInt16BE(how === 'one-more' ? bytes + 1 : bytes, 1);
    return said;
  }
  const said = Buffer.alloc(9);
  said.writeUInt8(mask | 127, 0);
  const huge = { longest: BigInt(bytes), 'too-large': BigInt(terminalLimits.maxFrameBytes) + 1n, huge: 2n ** 63n };
  said.writeBigUInt64BE(huge[how], 1);
  return said;
}

/** The whole frames that a server sent; it masks nothing. */
function framesIn(bytes: Buffer): { opcode: number; reserved: number; payload: Buffer }[] {
  const found: { opcode: number; reserved: number; payload: Buffer }[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const [first, second] = [bytes.readUInt8(at), bytes.readUInt8(at + 1)];
    const short = second & 0x7f;
    if (short === 127) break; // more than 64 KiB at once: not in this target
    const headBytes = short === 126 ? 4 : 2;
    if (at + headBytes > bytes.length) break;
    const length = short === 126 ? bytes.readUInt16BE(at + 2) : short;
    const payload = bytes.subarray(at + headBytes, at + headBytes + length);
    if (payload.length < length) break;
    found.push({ opcode: first & 0x0f, reserved: (first >> 4) & 7, payload });
    at += headBytes + length;
  }
  return found;
}
