import type { Clock } from '#shared/clock.ts';
import { engineCall } from '#shared/docker.ts';
import { EngineError } from '#shared/faults.ts';
import type { Engine } from './engine.ts';
import { runToEnd } from './exec.ts';
import { createFrameReader, createOutputTail } from './output.ts';
import type { HomeUse } from './port.ts';

/** A look at one home is given up after this long: by itself, since an engine has no call that ends an exec. */
const lookForS = 120;
/** Of starting it, and of hearing its end. */
const marginMs = 15_000;
/** A number and a path, or a few words. Who says more floods whoever listens, and is not listened to. */
const maxAnswerBytes = 16_384;
/** of `timeout`, whose command was ended; busybox tells the signal instead */
const outOfTime = new Set([124, 143]);

/**
 * Counts the blocks of the home's own file system, and follows no link. Disk and processor are asked for only where nobody else
 * wants them; an image without `ionice`, or a kernel that does not let it, has `nice` alone. Words about directories that cannot be read are nobody's to hear.
 */
const lookScript = `
for tool in du nice timeout; do
  if ! command -v "$tool" >/dev/null; then echo "the image has no $tool" >&2; exit 69; fi
done
idle=
if ionice -c 3 true 2>/dev/null; then idle='ionice -c 3'; fi
exec timeout "$2" nice -n 19 $idle du -skx -- "$1" 2>/dev/null
`;

/** See the port. What a box answers is its user's word: it is read as a number, or not at all. */
export async function homeUse(
  engine: Engine,
  clock: Clock,
  { id, target }: { id: string; target: string },
  signal: AbortSignal,
): Promise<HomeUse> {
  const operation = 'homeUse';
  const tail = createOutputTail();
  let answer = '';
  let saidBytes = 0;
  const read = createFrameReader((part, isError) => {
    saidBytes += part.length;
    if (!isError) answer += part.toString('latin1');
  });
  const onOutput = (chunk: Buffer): void => {
    tail.push(chunk);
    read(chunk);
    if (saidBytes <= maxAnswerBytes) return;
    const message = 'what counts in the home says more than a number';
    throw new EngineError({ operation, kind: 'failed', status: null, message });
  };
  const command = ['/bin/sh', '-c', lookScript, 'home-use', target, String(lookForS)];
  const run = (limit: AbortSignal): Promise<number> =>
    runToEnd({ engine, clock, operation, id, command, onOutput }, limit);
  const exitCode = await engineCall(operation, lookForS * 1_000 + marginMs, run, signal);
  const [, kib = null] = /^(\d{1,12})\s/.exec(answer) ?? [];
  if (outOfTime.has(exitCode)) {
    const message = `it takes more than ${lookForS} s to count what is in the home`;
    throw new EngineError({ operation, kind: 'timeout', status: null, message });
  }
  if (kib === null) {
    const message = `the look at the home ended with exit code ${exitCode}: ${tail.lastLine() || 'it said nothing'}`;
    throw new EngineError({ operation, kind: 'failed', status: null, message });
  }
  return { usedBytes: Number(kib) * 1_024, isWhole: exitCode === 0 };
}
