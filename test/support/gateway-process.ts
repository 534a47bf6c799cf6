import { type RunningProcess, startProcess } from './process.ts';

const mainFile = new URL('../../gateway/src/main.ts', import.meta.url).pathname;
const readyWithinMs = 30_000;
const lookEveryMs = 50;

export interface GatewayProcess extends RunningProcess {
  readonly port: number;
}

/** A gateway as `npm start` runs it; resolves when it serves. `main` is what is started as one. */
export async function startGatewayProcess(
  environment: Readonly<Record<string, string>>,
  port: number,
  main = mainFile,
): Promise<GatewayProcess> {
  const running = startProcess(main, { ...environment, SPOON_GATEWAY_PORT: String(port) }, mainFile);
  const giveUpAt = performance.now() + readyWithinMs;
  for (;;) {
    running.mustRun();
    // Before it listens a connection is refused.
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
    if (answer?.ok) return { ...running, port };
    if (performance.now() >= giveUpAt) {
      await running.kill();
      throw new Error(`the gateway is not ready within ${readyWithinMs} ms:\n${running.lines.join('\n')}`);
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}
