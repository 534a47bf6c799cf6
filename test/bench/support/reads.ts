import { type Agent, get } from 'node:http';

export interface Reads {
  /** ms from when each was due to the end of its answer: what waited because of others counts */
  readonly tookMs: number[];
  /** answers other than 200, and connections that failed */
  readonly failed: number;
}

export interface ReadsOptions {
  readonly agent: Agent;
  readonly perS: number;
  readonly forMs: number;
  readonly headers: Readonly<Record<string, string>>;
  /** the address of the n-th read */
  readonly urlOf: (n: number) => string;
}

/** Reads at a fixed rate, whether the answers come or not. */
export async function readSteadily(options: ReadsOptions, signal: AbortSignal): Promise<Reads> {
  const { perS, forMs } = options;
  const tookMs: number[] = [];
  let failed = 0;
  const startedAt = performance.now();
  const open: Promise<void>[] = [];
  for (let n = 0; n < (perS * forMs) / 1_000; n += 1) {
    const dueAt = startedAt + (n * 1_000) / perS;
    const waitMs = dueAt - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    signal.throwIfAborted();
    const answered = readOne(options, n).then((status) => {
      tookMs.push(performance.now() - dueAt);
      if (status !== 200) failed += 1;
    });
    open.push(answered);
  }
  await Promise.all(open);
  return { tookMs, failed };
}

/** Answers with the status; 0 = there was none. */
function readOne({ agent, headers, urlOf }: ReadsOptions, n: number): Promise<number> {
  return new Promise((resolve) => {
    const request = get(urlOf(n), { agent, headers }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0));
      response.once('error', () => resolve(0));
    });
    request.once('error', () => resolve(0));
  });
}
