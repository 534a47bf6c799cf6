import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type ExecRefusal, execRefusals, isExecRefusal } from '#shared/exec-protocol.ts';
import { type Problem, problemMediaType } from '#shared/problem.ts';
import { closeTable, isCloseName, refusalTable } from '#shared/terminal-protocol.ts';

/** A refusal before the upgrade, of a terminal or a command: a plain HTTP answer with problem details. */
export interface Refusal {
  readonly code: ExecRefusal;
  readonly detail: string;
}

/** Answers an upgrade request with HTTP, and closes. */
export function refuse(socket: Duplex, refusal: Refusal): void {
  const problem = problemOf(refusal);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? ''}`,
    'Connection: close',
    `Content-Type: ${problemMediaType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.once('finish', () => socket.destroy());
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

export function problemOf({ code, detail }: Refusal): Problem {
  const { status, text } = entryOf(code);
  return { type: `urn:spoonbox:problem:${code}`, code, title: text, status, detail };
}

/** What the close table has is no fault of the request. */
function entryOf(code: ExecRefusal): { status: number; text: string } {
  if (isExecRefusal(code)) return execRefusals[code];
  return isCloseName(code) ? { status: 503, text: closeTable[code].text } : refusalTable[code];
}
