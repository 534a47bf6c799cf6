import { createHash, randomBytes } from 'node:crypto';
import { afterEach, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { openTerminal } from '#shared/terminal-client.ts';
import { type Cut, type ModelGateway, startModelGateway } from './model-gateway.ts';

/** Over real sockets that break: every byte once, in both directions. */

let gateway: ModelGateway | null = null;
afterEach(async () => {
  await gateway?.close();
  gateway = null;
});

const sockets = {
  'the global WebSocket': (url: string, protocols: string[]) => new globalThis.WebSocket(url, protocols),
  ws: (url: string, protocols: string[]) => new WebSocket(url, protocols),
};

interface Case {
  readonly output: number;
  readonly input: number;
  readonly cuts: readonly Cut[];
}

const cases: [string, Case][] = [
  [
    'cut in the middle of output and input',
    {
      output: 1_000_000,
      input: 300_000,
      cuts: [
        { afterSent: 123_457, afterReceived: null },
        { afterSent: null, afterReceived: 70_001 },
        { afterSent: 1, afterReceived: null },
        { afterSent: null, afterReceived: 1 },
        { afterSent: 300_000, afterReceived: null },
      ],
    },
  ],
  [
    'a paste of 10 MB, cut twice',
    {
      output: 1_000,
      input: 10_000_000,
      cuts: [
        { afterSent: null, afterReceived: 3_333_333 },
        { afterSent: null, afterReceived: 2_000_000 },
      ],
    },
  ],
];

for (const [kind, openSocket] of Object.entries(sockets)) {
  test.each(cases)(`%s, with ${kind}`, async (_name, { output, input, cuts }) => {
    const said = randomBytes(output);
    const typed = new Uint8Array(randomBytes(input));
    gateway = await startModelGateway(said, input, cuts);
    const { url } = gateway;
    const seen: Uint8Array[] = [];
    const terminal = openTerminal(
      {
        getToken: () => Promise.resolve({ url, token: 'token' }),
        size: { cols: 80, rows: 24 },
        on() {},
        output(bytes, parsed) {
          seen.push(bytes);
          setImmediate(parsed);
        },
        openSocket,
        limits: { backoff: { minMs: 1, maxMs: 2 } },
      },
      new AbortController().signal,
    );
    await terminal.type(typed);
    expect(await terminal.closed).toMatchObject({ how: 'exit' });
    expect(gateway.sockets()).toBe(cuts.length + 1);
    expect(digest(Buffer.concat(seen))).toBe(digest(said));
    expect(digest(gateway.received())).toBe(digest(typed));
  });
}

function digest(bytes: Uint8Array): string {
  return `${bytes.length} bytes ${createHash('sha256').update(bytes).digest('hex')}`;
}
