import { randomBytes } from 'node:crypto';
import type { BoxView } from '#shared/api-schemas.ts';
import type { Checkout } from '#shared/checkout.ts';
import { type Clock, systemClock } from '#shared/clock.ts';
import type { LeasePriority } from '#shared/lease.ts';
import { type ApiClient, createApiClient, type WatchEvent } from './api-client.ts';
import { exec, type ExecOptions, type ExecResult } from './exec.ts';
import { createGatewayAddress } from './gateway-address.ts';
import { HeldLease } from './held-lease.ts';
import { keepWatching } from './keep-watching.ts';
import { LeasedBox } from './leased-box.ts';
import { findSettings, type GivenSettings, type Settings } from './settings.ts';

/** Of a lease where nothing else is said: so long a box is held for a holder that has died. */
const defaultTtlMs = 60_000;

export interface LeaseWish {
  readonly user: string;
  /** who holds it, for people: agent-7 */
  readonly holder: string;
  /** default: job */
  readonly kind?: 'job' | 'pin';
  /** how long it outlives a holder that has died: 10 s to 5 min, of a pin up to 30 days. Default: 60 s */
  readonly ttlMs?: number;
  /** the class that the box is to have; default: as it is, or the default one */
  readonly class?: string;
  /** record the user's terminals that open while it lives: what they show, or also what is typed */
  readonly record?: 'output' | 'input';
  /** where the commands start that are run with the lease */
  readonly checkout?: Checkout;
  /** where its box stands among those who wait for a place; default: normal */
  readonly priority?: LeasePriority;
  /** name of the lease; default: a new one. Who takes a live one of the same holder and kind shares it */
  readonly id?: string;
  /** only while it is taken */
  readonly signal?: AbortSignal;
}

/** An installation of Spoonbox. Nothing of it has to be closed. */
export interface Spoonbox {
  /** all that the HTTP API can do */
  readonly api: ApiClient;
  /** Holds a user's box, which is started if it is not there, until it is given back. */
  lease(wish: LeaseWish): Promise<LeasedBox>;
  /** A command in a user's box, without a lease of one's own: the box is started if need be, and kept while it runs. */
  exec(user: string, command: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** `selector` as `phase=ready,class!=small` */
  boxes(options?: { readonly selector?: string; readonly signal?: AbortSignal }): Promise<BoxView[]>;
  box(user: string, options?: { readonly signal?: AbortSignal }): Promise<BoxView>;
  /** What changes, over restarts of the server; first the present state, ended by `synced`. Without `user`: all boxes. */
  watch(options?: { readonly user?: string; readonly signal?: AbortSignal }): AsyncGenerator<WatchEvent>;
}

/**
 * What is not given is taken from SPOONBOX_SERVER, SPOONBOX_TOKEN and SPOONBOX_GATEWAY, else from the `.spoonbox/client.json` that `npm start`
 * wrote, found upward from the working directory. A token that is given, or of the environment, is only sent to a server that is, too. Throws a NoSettings where there is none.
 */
export function connect(given: GivenSettings = {}): Spoonbox {
  return spoonboxAt(findSettings(given, process.env, [process.cwd()]));
}

export function spoonboxAt(
  settings: Settings,
  time: { readonly clock: Clock; readonly random: () => number } = { clock: systemClock, random: Math.random },
): Spoonbox {
  const api = createApiClient(settings);
  const deps = { api, ...time };
  const gateway = createGatewayAddress(api, settings.gateway);

  const run: Spoonbox['exec'] = async (user, command, options = {}) => {
    const signal = options.signal ?? never();
    const execUrl = await gateway.execUrl(signal);
    return await exec({ execUrl, token: settings.token }, user, command, options, signal);
  };
  return {
    api,
    async lease({
      user,
      holder,
      kind = 'job',
      ttlMs = defaultTtlMs,
      class: className,
      record,
      checkout,
      priority,
      id,
      signal = never(),
    }) {
      const of = { user, holder, id: id ?? `job-${randomBytes(6).toString('hex')}` };
      const body = {
        ...{ kind, holder, ttlMs },
        ...(className === undefined ? {} : { class: className }),
        ...(record && { record }),
        ...(checkout && { checkout }),
        ...(priority && { priority }),
      };
      const lease = await HeldLease.take(deps, { user, id: of.id, body }, signal);
      return new LeasedBox({ ...deps, exec: run }, lease, { ...of, hasCheckout: checkout !== undefined });
    },
    exec: run,
    boxes: ({ selector = null, signal = never() } = {}) => api.boxes(selector, signal),
    box: (user, { signal = never() } = {}) => api.box(user, signal),
    watch: ({ user = null, signal = never() } = {}) => keepWatching(deps, user, signal),
  };
}

function never(): AbortSignal {
  return new AbortController().signal;
}
