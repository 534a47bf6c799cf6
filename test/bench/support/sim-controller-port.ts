import { fork } from 'node:child_process';
import { once } from 'node:events';
import { z } from 'zod';
import { nodeFlags } from '#shared/node-flags.ts';

/** What passes between a benchmark and the process of `sim-controller.ts`. */

const program = new URL('./sim-controller.ts', import.meta.url).pathname;

export const Settings = z.object({
  redisUrl: z.string(),
  installation: z.string(),
  boxes: z.number(),
  resyncMs: z.number(),
  withController: z.boolean(),
  /** every call on the engine is told, with its time */
  tellCalls: z.boolean(),
});
export type Settings = z.infer<typeof Settings>;

export const Order = z.object({
  /** `settle`: answer when nothing is left to do; `resync`: look at everything, then the same; `usage`: answer at once */
  type: z.enum(['settle', 'resync', 'usage']),
});
export type Order = z.infer<typeof Order>;

const Usage = z.object({
  type: z.literal('usage'),
  /** of this process since the order came */
  cpuMs: z.number(),
  tookMs: z.number(),
  /** on the engine, since the start, by method of the port */
  calls: z.record(z.string(), z.number()),
  rssBytes: z.number(),
  peakRssBytes: z.number(),
});
export type Usage = z.infer<typeof Usage>;
const Call = z.object({ type: z.literal('call'), method: z.string(), subject: z.string(), atNs: z.string() });
export type Call = z.infer<typeof Call>;
export const Answer = z.discriminatedUnion('type', [z.object({ type: z.literal('started') }), Usage, Call]);
export type Answer = z.infer<typeof Answer>;

export interface SimController {
  order(type: Order['type']): Promise<Usage>;
  /** Called for every call on the engine, where `tellCalls` is set. */
  onCall(listener: (call: Call) => void): void;
  end(): Promise<void>;
}

export async function startSimController(settings: Settings): Promise<SimController> {
  const child = fork(program, [JSON.stringify(settings)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    execArgv: [...nodeFlags],
  });
  const answers: ((usage: Usage) => void)[] = [];
  let listener = (_call: Call): void => {};
  const started = new Promise<void>((resolve) => {
    child.on('message', (message) => {
      const parsed = Answer.parse(message);
      if (parsed.type === 'started') resolve();
      else if (parsed.type === 'call') listener(parsed);
      else answers.shift()?.(parsed);
    });
  });
  const ended = once(child, 'exit').then(([code]): never => {
    throw new Error(`the process with the controller ended with ${String(code)}`);
  });
  await Promise.race([started, ended]);
  return {
    async order(type) {
      const usage = new Promise<Usage>((resolve) => answers.push(resolve));
      child.send({ type } satisfies Order);
      return await Promise.race([usage, ended]);
    },
    onCall(next) {
      listener = next;
    },
    async end() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}
