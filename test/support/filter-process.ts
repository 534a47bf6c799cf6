import { type RunningProcess, startProcess } from './process.ts';

const mainFile = new URL('../../gateway/filter/src/main.ts', import.meta.url).pathname;
const listensWithinMs = 30_000;
const lookEveryMs = 20;

/** A filtering socket as a deployment runs it; resolves when it listens. Throws with its words where it ends before. */
export async function startFilterProcess(environment: Readonly<Record<string, string>>): Promise<RunningProcess> {
  const running = startProcess(mainFile, environment);
  const giveUpAt = performance.now() + listensWithinMs;
  for (;;) {
    running.mustRun();
    if (running.lines.some((line) => line.includes('"socket":'))) return running;
    if (performance.now() >= giveUpAt) {
      await running.kill();
      throw new Error(`the filter does not listen within ${listensWithinMs} ms:\n${running.lines.join('\n')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}
