import { Readable } from 'node:stream';
import fc from 'fast-check';
import { z } from 'zod';
import { engineErrorOf } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import { InstallationId, UserName } from '#shared/identity.ts';
import { PullProgress } from '#shared/status.ts';
import { ownershipOf } from '../../../controller/src/box/ownership.ts';
import {
  InspectedContainer,
  ListedContainer,
  viewOfInspected,
  viewOfListed,
} from '../../../controller/src/runtime/container-view.ts';
import { defaultTimeouts, type Engine } from '../../../controller/src/runtime/engine.ts';
import { EngineEvent, runtimeEventsOf } from '../../../controller/src/runtime/events.ts';
import { jsonLines } from '../../../controller/src/runtime/json-lines.ts';
import { createOutputTail } from '../../../controller/src/runtime/output.ts';
import { pullImage } from '../../../controller/src/runtime/pull.ts';
import { alice, spec } from '../../support/box-facts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fakePort } from '../../support/fake-port.ts';
import { agreed, must, target } from '../target.ts';
import { cuts, junk, mutated, oddNumber, pieces, text } from '../values.ts';

/** What an engine may hand back. An answer that is not as agreed is a ZodError, which the border makes a fault of. */
const installation = InstallationId.parse('fuzz');
const isZod = (error: unknown): boolean => error instanceof z.ZodError;
/** As long as what our scripts keep of a number. */
const largest = 99_999_999_999_999;

const labels = {
  'dev.spoonbox.installation': 'fuzz',
  'dev.spoonbox.role': 'box',
  'dev.spoonbox.user': 'alice',
  'dev.spoonbox.generation': '5',
  'dev.spoonbox.spec': JSON.stringify(spec),
};
const listed = {
  Id: 'box-1',
  Names: ['/spoon-box-alice', '/x/spoon-box-bob'],
  ImageID: spec.imageId,
  State: 'running',
  Created: 1_700_000_000,
  Labels: labels,
};
const inspected = {
  Id: 'box-1',
  Name: '/spoon-box-alice',
  Image: spec.imageId,
  Created: '2024-01-02T03:04:05.678901234Z',
  State: { Status: 'exited', ExitCode: 137, OOMKilled: true },
  Config: { Labels: labels },
  ExecIDs: ['e1'],
};
const generation = oddNumber.map((number) => ({
  ...listed,
  Labels: { ...labels, 'dev.spoonbox.generation': String(number) },
}));

export const containers = target(
  'containers of the engine',
  100,
  fc.oneof(mutated(listed, inspected), generation, junk),
  () => ({
    check(answer) {
      const views = [
        agreed(() => viewOfListed(ListedContainer.parse(answer), installation), isZod),
        agreed(() => viewOfInspected(InspectedContainer.parse(answer)), isZod),
      ].filter((view) => view !== null);
      for (const view of views) {
        const { generation: made, createdAtS } = view;
        must(
          Number.isInteger(made) && made >= 0 && made <= largest,
          `a generation is one that Redis keeps, not ${made}`,
        );
        must(Number.isFinite(createdAtS), 'an age can be compared');
        must(!view.name.startsWith('/'), 'a name has no slash before it');
      }
      const { box, foreign } = ownershipOf(alice, installation, views);
      must(box === null || box.installation === 'fuzz', 'ours carries our label');
      must(foreign === null || foreign !== box, 'a container is ours or foreign');
    },
  }),
);

const event = {
  Type: 'container',
  Action: 'rename',
  Actor: { Attributes: { ...labels, name: 'spoon-box-alice', oldName: '/spoon-box-bob' } },
};
export const events = target('events of the engine', 60, fc.oneof(mutated(event), junk), () => ({
  check(told) {
    const found = agreed(() => runtimeEventsOf(EngineEvent.parse(told), installation), isZod) ?? [];
    must(found.length <= 3, 'an event concerns three users at most');
    for (const one of found)
      must(one.type === 'image' || UserName.safeParse(one.user).success, 'users have user names');
  },
}));

const line = fc.oneof(
  junk.map((value) => JSON.stringify(value)),
  text,
  fc.constantFrom('{"a":', '\r', '{"é":"€"}'),
);
export const lines = target(
  'lines of a stream, cut anywhere',
  60,
  fc.record({ lines: fc.array(line, { maxLength: 6 }), cuts }),
  () => ({
    async check({ lines: sent, cuts: at }) {
      const bytes = Buffer.from(sent.join('\n'));
      const whole = await read([bytes]);
      const cut = await read(pieces(bytes, at));
      must(JSON.stringify(cut) === JSON.stringify(whole), 'where a stream is cut makes no difference');
    },
  }),
);

/** All values up to the end or the first refusal. */
async function read(chunks: readonly Buffer[]): Promise<unknown[]> {
  const values: unknown[] = [];
  try {
    for await (const value of jsonLines(Readable.from(chunks))) values.push(value);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    values.push('refused');
  }
  return values;
}

const progress = { status: 'Downloading', id: 'a1', progressDetail: { current: 5, total: 10 } };
const pullLine = fc.oneof(
  mutated(progress, { status: 'Pull complete', id: 'a1' }, { status: 'Extracting', id: 'b2', progressDetail: {} }),
  fc
    .record({
      status: fc.constant('Downloading'),
      id: fc.constantFrom('a', 'b', 'c'),
      current: oddNumber,
      total: oddNumber,
    })
    .map(({ status, id, ...progressDetail }) => ({ status, id, progressDetail })),
  fc.constantFrom<unknown>({ error: 'no space left' }, { error: 'x'.repeat(10_000) }),
  junk,
);
export const pulls = target(
  'the progress of a pull',
  40,
  fc.record({ lines: fc.array(pullLine, { maxLength: 12 }), cuts, breaks: fc.boolean() }),
  () => ({
    async check({ lines: sent, cuts: at, breaks }) {
      const clock = new FakeClock();
      const bytes = Buffer.from(sent.map((one) => `${JSON.stringify(one)}\n`).join(''));
      const engine = fakePort<Engine>({
        timeouts: defaultTimeouts,
        giveUp: () => {},
        open: async () => Readable.from(broken(pieces(bytes, at), breaks)),
      });
      const told: PullProgress[] = [];
      await pullImage(
        { engine, clock, dockerConfig: null },
        'box:1',
        (one) => void told.push(one),
        new AbortController().signal,
      ).catch((error: unknown) => {
        must(error instanceof EngineError, `a pull fails with a fault, not ${String(error)}`);
        must(engineErrorOf('pull', error).fault.message.length <= 501, 'a message is short');
      });
      for (const progressNow of told) {
        const kept = PullProgress.safeParse(JSON.parse(JSON.stringify(progressNow)));
        must(kept.success, 'progress can be stored and read again');
        const { doneBytes, totalBytes, layersDone, layers } = progressNow;
        must(doneBytes >= 0 && totalBytes >= 0 && layersDone <= layers, 'progress is of what there is');
      }
      must(clock.pending === 0, 'a pull leaves no timer');
    },
  }),
);

function* broken(chunks: readonly Buffer[], breaks: boolean): Generator<Buffer> {
  yield* chunks;
  if (breaks) throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
}

export const output = target(
  'output of a command, cut anywhere',
  60,
  fc.record({
    frames: fc.array(fc.record({ to: fc.nat({ max: 3 }), said: text, odd: fc.boolean() }), { maxLength: 6 }),
    cuts,
  }),
  () => ({
    check({ frames, cuts: at }) {
      const bytes = Buffer.concat(
        frames.flatMap(({ to, said, odd }) => {
          const body = Buffer.from(said);
          const head = Buffer.alloc(8);
          head.writeUInt8(to, 0);
          head.writeUInt32BE(odd ? 0xffff_ffff : body.length, 4);
          return [head, body];
        }),
      );
      const [whole, cut] = [createOutputTail(), createOutputTail()];
      whole.push(bytes);
      for (const piece of pieces(bytes, at)) cut.push(piece);
      must(cut.lastLine() === whole.lastLine(), 'where output is cut makes no difference');
      must(whole.lastLine().length <= 1_024, 'the last line is bounded');
    },
  }),
);
