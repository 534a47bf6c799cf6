import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Checkout } from '#shared/checkout.ts';
import { execProtocols } from '#shared/exec-protocol.ts';
import { traceparentOf, type Tracing } from '#shared/tracing.ts';
import { countAddress, countUser, refusedOrigin } from '../admission.ts';
import type { ConnectRate } from '../connect-rate.ts';
import { Ending, endedBy } from '../ending.ts';
import { type Refusal, refuse } from '../refusal.ts';
import { upgrade } from '../upgrade.ts';
import { checkoutOf } from './checkout.ts';
import { endRevoked } from './end-revoked.ts';
import { type JobDeps, runJob } from './job.ts';
import { JobSocket } from './job-socket.ts';
import { type JobPlace, Jobs } from './jobs.ts';
import { isJobPath, type JobRequest, readJobRequest } from './request.ts';
import { type JobSecrets, type Who, whoAsks } from './who.ts';

export interface JobServerDeps extends JobDeps {
  readonly secrets: JobSecrets;
  /** of terminals and commands together */
  readonly rate: ConnectRate;
  readonly tracing: Tracing;
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

interface Admitted {
  readonly who: Who;
  readonly place: JobPlace;
  readonly checkout: Checkout | null;
}

/** Runs commands for agents and scripts: see `shared/src/exec-protocol.ts`. */
export function createJobServer(deps: JobServerDeps): JobServer {
  const { log, limits, meter, tracing } = deps;
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
    if ('code' in asked) return turnAway(socket, asked);
    const badOrigin = refusedOrigin(request, deps.allowedOrigins);
    if (badOrigin !== null) return turnAway(socket, badOrigin);
    const attach = tracing.start({ name: 'run command', parent: traceparentOf(request.headers) });
    const admitted = await admit(request, asked);
    if ('code' in admitted) {
      attach.end(admitted.code);
      return turnAway(socket, admitted);
    }
    meter.admitted('command');
    const { who, place, checkout } = admitted;
    let client: JobSocket | null = null;
    try {
      client = await upgrade(server, request, socket, head, (ws) => clientOf(ws, asked));
    } finally {
      if (client === null) {
        attach.end('no WebSocket');
        place.leave();
      }
    }
    const of = { ...asked, user: who.user, directory: who.directory, checkout, attach };
    if (client === null) return;
    const { apiToken } = who;
    const stopLooking = apiToken === null ? null : endRevoked(deps, deps.secrets.apiTokens, apiToken, place);
    await runJob(deps, of, client, place);
    stopLooking?.();
  }

  function turnAway(socket: Duplex, refusal: Refusal): void {
    meter.refused('command', refusal.code);
    refuse(socket, refusal);
  }

  /** What costs least is looked at first; a token is spent last, when nothing else can be refused. */
  async function admit(request: IncomingMessage, asked: JobRequest): Promise<Admitted | Refusal> {
    let place: JobPlace | null = null;
    try {
      countAddress(deps.rate, request);
      const who = await whoAsks(deps.secrets, asked, log);
      if ('code' in who) return who;
      countUser(deps.rate, who.user);
      const where = await checkoutOf(deps, who.user, asked.where, who.checkout);
      if ('code' in where) return where;
      const entered = jobs.enter(who.user);
      if ('code' in entered) return entered;
      place = entered;
      if (who.jti !== null) await deps.spend(who.jti);
      return { who, place, checkout: where.checkout };
    } catch (error) {
      place?.leave();
      if (!(error instanceof Ending)) throw error;
      return { code: error.errorCode, detail: error.message };
    }
  }

  function clientOf(ws: WebSocket, asked: JobRequest): JobSocket {
    const client = new JobSocket(ws, asked, deps);
    sockets.add(client);
    ws.once('close', () => sockets.delete(client));
    return client;
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
