import type { PullProgress } from '#shared/status.ts';
import { printable } from './output.ts';

/** What a box that is not ready does, in few words. */
export function waitingText(box: {
  readonly phase: string;
  readonly step: string | null;
  readonly message: string;
  readonly progress: PullProgress | null;
}): string {
  const { phase, step, message, progress } = box;
  if (step === 'pulling' && progress && progress.totalBytes > 0) {
    return `image is pulled ${Math.min(100, Math.floor((progress.doneBytes / progress.totalBytes) * 100))} %`;
  }
  return printable(message) || `${phase}${step ? ` (${step})` : ''}`;
}
