import type { PullProgress } from '#shared/status.ts';
import { bar, printable } from './output.ts';

const barWidth = 20;

interface Waiting {
  readonly phase: string;
  readonly step: string | null;
  readonly message: string;
  readonly progress: PullProgress | null;
}

/** What a box that is not ready does, in one line: of a pull, with a bar where a person looks on. */
export function waitingLine(box: Waiting, stream: { readonly isTTY?: boolean | undefined } = process.stderr): string {
  const { phase, step, message, progress } = box;
  const text = printable(message) || `${phase}${step ? ` (${step})` : ''}`;
  if (!progress || progress.totalBytes === 0) return text;
  const share = progress.doneBytes / progress.totalBytes;
  if (stream.isTTY === true) return `${bar(share, barWidth)} ${text}`;
  return step === 'pulling' ? `image is pulled ${Math.min(100, Math.floor(share * 100))} %` : text;
}
