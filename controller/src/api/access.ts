import { fastifyCookie } from '@fastify/cookie';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { type AccessStore, createAccessStore } from '#shared/access-store.ts';
import { hashOf } from '#shared/api-token.ts';
import type { Clock } from '#shared/clock.ts';
import type { Keys } from '#shared/identity.ts';
import type { Role } from '#shared/operator-schemas.ts';
import { ProblemError } from '#shared/problem.ts';
import type { RedisPort } from '#shared/redis-port.ts';
import { ShortMemory } from '#shared/short-memory.ts';
import { createTokenCheck, internalBearer, mayDo, rememberedMs } from '#shared/token-check.ts';
import { createLoginStore, type LoginStore } from '../store/login-store.ts';
import { type Credential, credentialOf, type CredentialRefusal, refusedCredential } from './credential.ts';
import { fromStore } from './problem-reply.ts';
import { createRequestRates, type RequestRates } from './request-rates.ts';
import { refuseForeignChange } from './same-origin.ts';

/** Who may ask a route. `anyone`: no token is needed. */
export type RouteRole = Role | 'anyone';

/** Who asks. */
export interface Caller {
  readonly by: 'token' | 'cookie';
  /** of the token; of a console, a part of its cookie's hash. For logs */
  readonly id: string;
  /** for people and events */
  readonly name: string;
  readonly role: Role;
  /** Redis TIME, ms; null = until it is revoked */
  readonly expiresAt: number | null;
  /** the token, or the one that let the console in; '' = the internal one */
  readonly tokenId: string;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route has one: see `addAccess`. */
    role?: RouteRole;
  }
  interface FastifyRequest {
    /** null: on a route for anyone, and before it is known */
    caller: Caller | null;
  }
}

export interface ApiRoute {
  readonly method: string;
  /** as fastify has it: `/v1/boxes/:user` */
  readonly url: string;
  readonly role: RouteRole;
}

/** Who may ask the API, and what is remembered of that. */
export interface Access {
  readonly tokens: AccessStore;
  readonly logins: LoginStore;
  readonly rates: RequestRates;
  /** every route that was added */
  readonly routes: readonly ApiRoute[];
  /** No token is needed there. */
  isOpen(route: { readonly method: string; readonly url: string }): boolean;
  /** Still who it was, and may still do this? For answers that take long. Rejects when Redis does not answer. */
  isStill(request: FastifyRequest): Promise<boolean>;
  /** A token was revoked by this process: it ends here at once, and within 5 s elsewhere. So do the consoles that it let in. */
  forgetToken(id: string): void;
  /** The same for a console that was logged out. */
  forgetLogin(cookie: string): void;
}

/** Consoles; tokens are remembered beside them. */
const mostRemembered = 10_000;
/** Asked all the time by what watches over this process: counted for nobody. */
const uncounted = new Set(['/healthz', '/readyz']);

/**
 * Checks who asks, before anything else is done: each route added from now on names the role that it needs,
 * `config: { role: 'viewer' }`, and one that does not is refused here and now.
 *
 * Right tokens and cookies are remembered for 5 s, and looked up in Redis after that. So what was revoked through another process
 * may ask for 5 s more, and while Redis is down so may who asked just before; the internal token always may. What such a one
 * watches is cut 5 s later at most (`end-revoked.ts`).
 */
export function addAccess(
  app: FastifyInstance,
  deps: {
    redis: RedisPort;
    keys: Keys;
    clock: Clock;
    internalToken: string;
    apiRequestsPerS: number;
    publicUrl: string;
  },
): Access {
  const { clock, internalToken } = deps;
  const tokens = createAccessStore(deps);
  const logins = createLoginStore(deps);
  const check = createTokenCheck({ internalToken, store: tokens, clock });
  const memory = new ShortMemory<Caller>(clock, mostRemembered);
  const rates = createRequestRates(app, deps.apiRequestsPerS);
  const routes: ApiRoute[] = [];

  app.register(fastifyCookie);
  app.decorateRequest('caller', null);
  app.addHook('onRoute', ({ method, url, config }) => {
    const role = config?.role;
    if (role === undefined) throw new Error(`the route ${method} ${url} does not say who may ask it: config.role`);
    for (const one of [method].flat()) routes.push({ method: one, url, role });
  });
  app.addHook('onRequest', async (request) => {
    const { config, url } = request.routeOptions;
    // Where there is no such route, only who may look is told so.
    const role = config.role ?? 'viewer';
    if (role !== 'anyone') request.caller = await identify(request);
    if (!uncounted.has(url ?? '')) await rates.count(request);
    const { caller } = request;
    if (caller === null || role === 'anyone') return;
    if (caller.by === 'cookie') refuseForeignChange(request, deps.publicUrl);
    if (!mayDo(caller.role, role)) throw roleTooLow(caller, role);
  });

  async function identify(request: FastifyRequest): Promise<Caller> {
    const credential = credentialOf(request);
    const found = credential === null ? 'token-missing' : await fromStore(find(credential));
    if (typeof found !== 'string') return found;
    await rates.countFailure(request);
    throw refusedCredential(found);
  }

  async function find(credential: Credential): Promise<Caller | CredentialRefusal> {
    if (credential.kind === 'cookie') return await findLogin(credential.cookie);
    const checked = await check.check(credential.token);
    if (!checked.ok) return checked.refused;
    const { bearer } = checked;
    return { ...bearer, by: 'token', tokenId: bearer === internalBearer ? '' : bearer.id };
  }

  async function findLogin(cookie: string): Promise<Caller | CredentialRefusal> {
    const hash = hashOf(cookie);
    const known = memory.get(hash);
    if (known) return known;
    const since = clock.monotonicMs();
    const login = await logins.find(cookie);
    if (login === null) return 'login-ended';
    const { name, tokenId, role, expiresAt, leftMs } = login;
    const id = hash.slice(0, 12);
    const caller: Caller = { by: 'cookie', id, name, role, expiresAt, tokenId };
    memory.keep(hash, caller, since, Math.min(rememberedMs, leftMs));
    return caller;
  }

  return {
    ...{ tokens, logins, rates, routes },
    isOpen: ({ method, url }) =>
      routes.some((route) => route.role === 'anyone' && route.method === method && route.url === url),
    async isStill(request) {
      const credential = credentialOf(request);
      if (credential === null || request.caller === null) return true;
      return typeof (await find(credential)) !== 'string';
    },
    forgetToken(id) {
      check.forget(id);
      memory.forget(({ tokenId }) => tokenId === id);
    },
    forgetLogin(cookie) {
      const hash = hashOf(cookie);
      memory.forget((_caller, key) => key === hash);
    },
  };
}

/** Who asks a route that is not for anyone. */
export function callerOf({ caller }: FastifyRequest): Caller {
  if (caller === null) throw new Error('a route for anyone does not know who asks');
  return caller;
}

/** `what` it is that needs the role, where not the whole route does. */
export function roleTooLow({ name, role }: Caller, needs: Role, what = 'it'): ProblemError {
  const detail = `the request was refused because ${what} needs the role ${needs}, and ${name} is ${role}: use a token of role ${needs}`;
  return new ProblemError('role-too-low', detail, { extras: { needs, has: role } });
}
