import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/**
 * What Node is started with for our processes. By itself V8 takes what a large machine has before it collects: with 10,000
 * boxes a controller of 36 MB of live objects held 420 MB. The limit on old objects, from which V8 also learns how soon to
 * collect, is more than ten times what those boxes need; the smaller space for young ones costs no time that could be measured.
 */
export const nodeFlags: readonly string[] = ['--max-semi-space-size=16', '--max-old-space-size=1024'];

/**
 * For what passes streams on: others of the first kind, and one besides. Each read is up to 64 KiB outside of the heap, owned by a young object
 * of a few bytes. In a space of 16 MB such objects are not collected before V8 finds that too much hangs on them, and then it
 * goes through the whole heap: 7 times for 100 MB of output, a third of the processor's time. In one of 1 MB they go early; and
 * the whole heap is gone through when it has grown to four times what was alive, not by a few MB: while that goes on, no echo of 2,000
 * terminals comes for 0.3 s (`npm run bench terminal -- --only crowd-simulated`).
 */
const streamFlags: readonly string[] = [
  '--max-semi-space-size=1',
  '--max-old-space-size=1024',
  '--heap-growing-percent=300',
];

/** `script`: the file that Node runs, absolute. */
export function nodeFlagsOf(script: string): readonly string[] {
  const isStreaming = /^gateway[\\/]/.test(relative(root, script));
  return isStreaming ? streamFlags : nodeFlags;
}
