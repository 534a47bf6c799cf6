import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  type ExecProtocol,
  execProtocols,
  type ExecRefusal,
  execRefusals,
  isExecRefusal,
} from '#shared/exec-protocol.ts';
import { type Problem, problemMediaType } from '#shared/problem.ts';
import { closeTable, isCloseName, refusalTable } from '#shared/terminal-protocol.ts';
import { refusedOrigin } from '../admission.ts';
import { Ending, endedBy } from '../ending.ts';
import { type JobDeps, runJob } from './job.ts';
import { JobSocket } from './job-socket.ts';
import { Jobs } from './jobs.ts';
import { isJobPath, type JobRefusal, readJobRequest } from './request.ts';
import { type JobSecrets, whoAsks } from './who.ts';

export interface JobServerDeps extends JobDeps {
  readonly secrets: JobSecrets;
  readonly allowedOrigins: readonly string[];
  /** Lets a token's id pass once. Throws an Ending where it does not. */
  readonly spend: (jti: string) => Promise<void>;
}

export interface JobServer {
  readonly count: number;
  readonly started: number;
  handles(path: string): boolean;
  /** Takes over an upgrade request; never rejects. */
  open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void>;
  /** Ends all commands, each client told why; resolves when nothing of them is left. */
  drain(): Promise<void>;
}

/** Runs commands for agents and scripts: see `shared/src/exec-protocol.ts`. */
export function createJobServer(deps: JobServerDeps): JobServer {
  const { log, limits } = deps;
  const jobs = new Jobs(limits);
  const sockets = new Set<JobSocket>();
  const server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    clientTracking: false,
    maxPayload: limits.maxRawFrameBytes,
    handleProtocols: (offered) => execProtocols.find((known) => offered.has(known)) ?? false,
  });

  async function open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const asked = readJobRequest(request);
    if ('code' in asked) return refuse(socket, asked);
    const badOrigin = refusedOrigin(request, deps.allowedOrigins);
    if (badOrigin !== null) return refuse(socket, badOrigin);
    const who = await whoAsks(deps.secrets, asked);
    if ('code' in who) return refuse(socket, who);
    const place = jobs.enter(who.user);
    if ('code' in place) return refuse(socket, place);
    let client: JobSocket | null;
    try {
      if (who.jti !== null) await deps.spend(who.jti);
      client = await upgrade(request, socket, head, asked);
    } catch (error) {
      place.leave();
      if (!(error instanceof Ending)) throw error;
      return refuse(socket, { code: error.errorCode, detail: error.message });
    }
    if (client === null) return place.leave();
    await runJob(deps, { ...asked, user: who.user, directory: who.directory }, client, place);
  }

  /** null: it was no WebSocket handshake, and ws has answered so; or the client has gone. */
  function upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    how: { protocol: ExecProtocol; stdin: boolean },
  ): Promise<JobSocket | null> {
    return new Promise((resolve) => {
      if (socket.destroyed) {
        resolve(null);
        return;
      }
      const failed = (): void => resolve(null);
      socket.once('close', failed);
      server.handleUpgrade(request, socket, head, (ws: WebSocket) => {
        socket.off('close', failed);
        const client = new JobSocket(ws, how, deps);
        sockets.add(client);
        ws.once('close', () => sockets.delete(client));
        resolve(client);
      });
    });
  }

  return {
    get count() {
      return jobs.count;
    },
    get started() {
      return jobs.started;
    },
    handles: isJobPath,
    async open(request, socket, head) {
      await open(request, socket, head).catch((error: unknown) => {
        log.error({ error }, 'a command could not be opened');
        socket.destroy();
      });
    },
    async drain() {
      jobs.close(endedBy('restarting'));
      // Those that were told goodbye have a moment to hear it.
      const cancelCut = deps.clock.after(limits.goodbyeWithinMs, () => {
        for (const socket of sockets) socket.cut();
      });
      await jobs.empty();
      cancelCut();
    },
  };
}

function refuse(socket: Duplex, refusal: JobRefusal): void {
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

function problemOf({ code, detail }: JobRefusal): Problem {
  const { status, text } = refusedBy(code);
  return { type: `urn:spoonbox:problem:${code}`, code, title: text, status, detail };
}

function refusedBy(code: ExecRefusal): { status: number; text: string } {
  if (isExecRefusal(code)) return execRefusals[code];
  return isCloseName(code) ? { status: 503, text: closeTable[code].text } : refusalTable[code];
}
