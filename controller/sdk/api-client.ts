import { z } from 'zod';
import {
  type ActionBody,
  BoxEventView,
  BoxList,
  BoxView,
  ClassList,
  EventList,
  type LeaseBody,
  LeaseReply,
  ReleaseReply,
  RemovedEvent,
  RenewReply,
  TerminalTokenReply,
} from '#shared/api-schemas.ts';
import {
  type ApiTokenBody,
  ApiTokenList,
  ApiTokenReply,
  BoxStats,
  CapacityView,
  LoginLinkReply,
  MachineView,
  type ModeBody,
  PlanList,
  PlanView,
  ReasonList,
  ReconcilerView,
  type Role,
  RolloutPause,
  StatsList,
  WhoAmI,
} from '#shared/operator-schemas.ts';
import { DoctorReport } from '#shared/finding.ts';
import { type ClearBody, ClearReply, LeftoverList } from '#shared/leftover.ts';
import { type Clock, systemClock } from '#shared/clock.ts';
import { codeOf } from '#shared/faults.ts';
import { Problem } from '#shared/problem.ts';
import { PullsAsked, type RolloutPauseBody, RolloutView } from '#shared/rollout.ts';
import { ApiRefusal, InvalidName, SpoonboxError, Unreachable } from './errors.ts';
import { readEvents } from './server-events.ts';
import { type BackupClient, backupClient } from './backup-client.ts';
import { type VaultClient, vaultClient } from './vault-client.ts';

/** Beyond what a request may wait for by itself. */
const answerWithinMs = 150_000;
/** A stream that says nothing for so long has no server any more, which sends a comment every 15 s at least. */
const silentMs = 45_000;
/** The most that one page of boxes holds. */
const pageSize = 500;

/** Where the API is. Without a token, the browser's cookie says who asks. */
export interface ApiAddress {
  /** `http://host:port`; '' = where the page came from */
  readonly server: string;
  readonly token: string | null;
}

/** Where a watch goes on after a break: the id of the last event that was heard; null = from the present state. */
export type ResumeId = string | null;

export type WatchEvent = { readonly id: string } & (
  | { readonly type: 'box'; readonly box: BoxView }
  | { readonly type: 'removed'; readonly user: string }
  /** everything follows, until `synced`: what is not in it is gone, though nothing says so */
  | { readonly type: 'full' }
  | { readonly type: 'synced' }
);

export type HistoryEvent =
  | { readonly type: 'happened'; readonly event: BoxEventView }
  /** some that came before the next one are not kept any more: what was put together of them is to be read anew */
  | { readonly type: 'missed' };

/** Of a box that was looked at: what says whether something else is desired by now. */
export type SeenBox = Pick<BoxView, 'desired'>;

/** The HTTP API. What it answers is checked; what it refuses is thrown as an `ApiRefusal`. */
export interface ApiClient extends VaultClient, BackupClient {
  /** All that match; `selector` as `phase=ready,class!=small`, null = all. */
  boxes(selector: string | null, signal: AbortSignal): Promise<BoxView[]>;
  box(user: string, signal: AbortSignal): Promise<BoxView>;
  /** null = of all users. Newest first. */
  events(user: string | null, limit: number, signal: AbortSignal): Promise<BoxEventView[]>;
  /** null = of all users. Ends when the server ends it. */
  followEvents(user: string | null, from: ResumeId, signal: AbortSignal): AsyncGenerator<HistoryEvent>;
  /** null = all boxes. Ends when the server ends it. */
  watch(user: string | null, from: ResumeId, signal: AbortSignal): AsyncGenerator<WatchEvent>;
  takeLease(user: string, id: string, body: LeaseBody, waitMs: number, signal: AbortSignal): Promise<LeaseReply>;
  renewLease(user: string, id: string, signal: AbortSignal): Promise<z.infer<typeof RenewReply>>;
  releaseLease(user: string, id: string, signal: AbortSignal): Promise<boolean>;
  /** Refused with `precondition-failed` where something else is desired by now than what was `seen`; null = whatever is. */
  act(user: string, action: ActionBody, seen: SeenBox | null, signal: AbortSignal): Promise<BoxView>;
  /** `seen`: as of `act`. */
  delete(user: string, seen: SeenBox | null, signal: AbortSignal): Promise<BoxView>;
  terminalToken(user: string, body: object, signal: AbortSignal): Promise<TerminalTokenReply>;
  classes(signal: AbortSignal): Promise<z.infer<typeof ClassList>['items']>;
  /** What the next pass would do; null = for every box. */
  plan(user: string | null, signal: AbortSignal): Promise<PlanView[]>;
  /** null = of every box that runs. */
  stats(user: string | null, signal: AbortSignal): Promise<BoxStats[]>;
  reconciler(signal: AbortSignal): Promise<ReconcilerView>;
  capacity(signal: AbortSignal): Promise<CapacityView>;
  setMode(body: ModeBody, signal: AbortSignal): Promise<ReconcilerView>;
  /** What the controller that is asked finds where it runs. */
  doctor(signal: AbortSignal): Promise<DoctorReport>;
  leftovers(signal: AbortSignal): Promise<LeftoverList>;
  clearLeftover(body: ClearBody, signal: AbortSignal): Promise<ClearReply>;
  rollout(signal: AbortSignal): Promise<RolloutView>;
  pauseRollout(body: RolloutPauseBody, signal: AbortSignal): Promise<RolloutPause>;
  /** Has the images of all classes pulled again; answers at once, with when the round was asked for. */
  pullImages(signal: AbortSignal): Promise<number>;
  machine(signal: AbortSignal): Promise<MachineView>;
  reasons(signal: AbortSignal): Promise<z.infer<typeof ReasonList>['items']>;
  tokens(signal: AbortSignal): Promise<z.infer<typeof ApiTokenList>['items']>;
  makeToken(body: ApiTokenBody, signal: AbortSignal): Promise<ApiTokenReply>;
  revokeToken(id: string, signal: AbortSignal): Promise<void>;
  /** Lets one browser in, as the role that is named; null = as who asks. */
  loginLink(role: Role | null, signal: AbortSignal): Promise<z.infer<typeof LoginLinkReply>>;
  logIn(code: string, signal: AbortSignal): Promise<WhoAmI>;
  logOut(signal: AbortSignal): Promise<void>;
  whoAmI(signal: AbortSignal): Promise<WhoAmI>;
}

export function createApiClient({ server, token }: ApiAddress, clock: Clock = systemClock): ApiClient {
  async function send(
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(server + path, {
        method,
        headers: {
          // No page of another origin can send that header: the cookie alone would not tell who wrote the request.
          ...(token === null ? { 'x-spoonbox-csrf': '1' } : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined ? null : JSON.stringify(body),
        signal,
      });
    } catch (error) {
      signal.throwIfAborted();
      throw unreachable(server, error);
    }
    if (!response.ok) throw await refusalOf(response, server);
    return response;
  }

  async function ask<Schema extends z.ZodType>(
    schema: Schema,
    method: string,
    path: string,
    body: unknown,
    signal: AbortSignal,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<z.output<Schema>> {
    const tooLate = AbortSignal.timeout(answerWithinMs);
    let answer: unknown;
    try {
      const response = await send(method, path, body, AbortSignal.any([signal, tooLate]), headers);
      answer = response.status === 204 ? undefined : await response.json();
    } catch (error) {
      signal.throwIfAborted();
      // An answer that is cut off is no answer; one that is whole and no JSON is another server's.
      if (error instanceof SpoonboxError) throw error;
      if (!(error instanceof SyntaxError)) throw unreachable(server, error);
      answer = null;
    }
    const parsed = schema.safeParse(answer);
    if (parsed.success) return parsed.data;
    throw new SpoonboxError(
      `${server}${path} answered something else than agreed: do this client and the server fit together?`,
    );
  }

  async function* follow(
    path: string,
    from: ResumeId,
    signal: AbortSignal,
  ): AsyncGenerator<{ event: string; id: string; data: unknown }> {
    const headers: Record<string, string> = from === null ? {} : { 'last-event-id': from };
    const silent = new AbortController();
    let stopListening: () => void = () => {};
    const listen = (): void => {
      stopListening = clock.after(silentMs, () => {
        silent.abort(unreachable(server, new Error(`nothing was heard for ${silentMs / 1_000} s`)));
      });
    };
    async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of body) {
        // Whoever reads may take its time.
        stopListening();
        yield chunk;
        listen();
      }
    }
    listen();
    try {
      const response = await send('GET', path, undefined, AbortSignal.any([signal, silent.signal]), headers);
      if (!response.body) return;
      for await (const { event, id, data } of readEvents(chunksOf(response.body))) {
        if (event !== 'end') {
          yield { event, id, data: JSON.parse(data) };
          continue;
        }
        const problem = Problem.parse(JSON.parse(data));
        if (problem.code === 'shutting-down') return;
        throw new ApiRefusal(problem);
      }
    } catch (error) {
      signal.throwIfAborted();
      silent.signal.throwIfAborted();
      if (error instanceof SpoonboxError) throw error;
      throw unreachable(server, error);
    } finally {
      stopListening();
    }
  }

  return {
    ...vaultClient(ask, part),
    ...backupClient(ask),
    async boxes(selector, signal) {
      const items: BoxView[] = [];
      let from: string | null = null;
      do {
        const query = new URLSearchParams({ limit: String(pageSize) });
        if (selector !== null) query.set('selector', selector);
        if (from !== null) query.set('continue', from);
        const page: BoxList = await ask(BoxList, 'GET', `/v1/boxes?${query}`, undefined, signal);
        items.push(...page.items);
        from = page.continue;
      } while (from !== null);
      return items;
    },
    box: (user, signal) => ask(BoxView, 'GET', boxPath(user), undefined, signal),
    async events(user, limit, signal) {
      return (await ask(EventList, 'GET', `${eventsPath(user)}?limit=${limit}`, undefined, signal)).items;
    },
    async *followEvents(user, from, signal) {
      for await (const { event, data } of follow(`${eventsPath(user)}?watch=1`, from, signal)) {
        if (event === 'happened') yield { type: 'happened', event: BoxEventView.parse(data) };
        else if (event === 'missed') yield { type: 'missed' };
      }
    },
    async *watch(user, from, signal) {
      const path = user === null ? '/v1/boxes' : boxPath(user);
      for await (const { event, id, data } of follow(`${path}?watch=1`, from, signal)) {
        const known = watchEventOf(event, id, data);
        if (known) yield known;
      }
    },
    takeLease: (user, id, body, waitMs, signal) =>
      ask(LeaseReply, 'PUT', `${leasePath(user, id)}?waitMs=${waitMs}`, body, signal),
    renewLease: (user, id, signal) => ask(RenewReply, 'POST', `${leasePath(user, id)}/renew`, {}, signal),
    async releaseLease(user, id, signal) {
      return (await ask(ReleaseReply, 'DELETE', leasePath(user, id), undefined, signal)).released;
    },
    act: (user, action, seen, signal) =>
      ask(BoxView, 'POST', `${boxPath(user)}/actions`, action, signal, ifMatch(seen)),
    delete: (user, seen, signal) => ask(BoxView, 'DELETE', boxPath(user), undefined, signal, ifMatch(seen)),
    terminalToken: (user, body, signal) =>
      ask(TerminalTokenReply, 'POST', `${boxPath(user)}/terminal-tokens`, body, signal),
    async classes(signal) {
      return (await ask(ClassList, 'GET', '/v1/classes', undefined, signal)).items;
    },
    async plan(user, signal) {
      if (user !== null) return [await ask(PlanView, 'GET', `${boxPath(user)}/plan`, undefined, signal)];
      return (await ask(PlanList, 'GET', '/v1/plan', undefined, signal)).items;
    },
    async stats(user, signal) {
      if (user !== null) return [await ask(BoxStats, 'GET', `${boxPath(user)}/stats`, undefined, signal)];
      return (await ask(StatsList, 'GET', '/v1/stats', undefined, signal)).items;
    },
    capacity: (signal) => ask(CapacityView, 'GET', '/v1/capacity', undefined, signal),
    reconciler: (signal) => ask(ReconcilerView, 'GET', '/v1/reconciler', undefined, signal),
    setMode: (body, signal) => ask(ReconcilerView, 'PUT', '/v1/reconciler/mode', body, signal),
    doctor: (signal) => ask(DoctorReport, 'GET', '/v1/doctor', undefined, signal),
    leftovers: (signal) => ask(LeftoverList, 'GET', '/v1/leftovers', undefined, signal),
    clearLeftover: (body, signal) => ask(ClearReply, 'POST', '/v1/leftovers/clear', body, signal),
    rollout: (signal) => ask(RolloutView, 'GET', '/v1/rollout', undefined, signal),
    pauseRollout: (body, signal) => ask(RolloutPause, 'PUT', '/v1/rollout/pause', body, signal),
    async pullImages(signal) {
      return (await ask(PullsAsked, 'POST', '/v1/rollout/pulls', undefined, signal)).askedAt;
    },
    machine: (signal) => ask(MachineView, 'GET', '/v1/machine', undefined, signal),
    async reasons(signal) {
      return (await ask(ReasonList, 'GET', '/v1/reasons', undefined, signal)).items;
    },
    async tokens(signal) {
      return (await ask(ApiTokenList, 'GET', '/v1/tokens', undefined, signal)).items;
    },
    makeToken: (body, signal) => ask(ApiTokenReply, 'POST', '/v1/tokens', body, signal),
    revokeToken: (id, signal) => ask(Nothing, 'DELETE', `/v1/tokens/${part(id, 'token id')}`, undefined, signal),
    loginLink: (role, signal) => ask(LoginLinkReply, 'POST', '/v1/login-links', role === null ? {} : { role }, signal),
    logIn: (code, signal) => ask(WhoAmI, 'POST', '/v1/session', { code }, signal),
    logOut: (signal) => ask(Nothing, 'DELETE', '/v1/session', undefined, signal),
    whoAmI: (signal) => ask(WhoAmI, 'GET', '/v1/session', undefined, signal),
  };
}

const Nothing = z.undefined();

/** The part of a box's ETag that If-Match compares: lists tell no whole ones. */
function ifMatch(seen: SeenBox | null): Record<string, string> {
  return seen === null ? {} : { 'if-match': `"${seen.desired?.generation ?? 0}"` };
}

/** `..` would be resolved away by the URL; the server could not refuse it by name. */
function boxPath(user: string): string {
  return `/v1/boxes/${part(user, 'user name')}`;
}

function leasePath(user: string, id: string): string {
  return `${boxPath(user)}/leases/${part(id, 'lease id')}`;
}

function eventsPath(user: string | null): string {
  return user === null ? '/v1/events' : `${boxPath(user)}/events`;
}

function part(text: string, what: string): string {
  if (text === '' || text === '.' || text === '..') throw new InvalidName(`"${text}" is no ${what}`);
  return encodeURIComponent(text);
}

function watchEventOf(event: string, id: string, data: unknown): WatchEvent | null {
  switch (event) {
    case 'box':
      return { type: 'box', id, box: BoxView.parse(data) };
    case 'removed':
      return { type: 'removed', id, user: RemovedEvent.parse(data).user };
    case 'full':
      return { type: 'full', id };
    case 'synced':
      return { type: 'synced', id };
    default:
      return null; // of a newer server
  }
}

async function refusalOf(response: Response, server: string): Promise<SpoonboxError> {
  const parsed = Problem.safeParse(await response.json().catch(() => null));
  if (parsed.success) return new ApiRefusal(parsed.data);
  // A proxy in front of a server that is not there.
  const { status } = response;
  if (status >= 502 && status <= 504) return unreachable(server, new Error(`HTTP ${status}`));
  return new SpoonboxError(`${server} answered HTTP ${status} and is no Spoonbox API: check the address`);
}

function unreachable(server: string, error: unknown): Unreachable {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const why = codeOf(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  return new Unreachable(
    `${server} cannot be reached (${why}): is Spoonbox running? start it with \`npm start\`, or name another with --server`,
    { cause: error },
  );
}
