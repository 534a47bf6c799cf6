import { StartError } from './faults.ts';

/** Where a Docker engine listens and which versions of its API are spoken: what is known before it is asked. */

export const defaultSocket = '/var/run/docker.sock';
const defaultPort = 2375;

export interface ApiVersion {
  readonly major: number;
  readonly minor: number;
}

/** The versions this code was written for; an engine has to speak one of them. */
export const oldestApi: ApiVersion = { major: 1, minor: 41 };
export const newestApi: ApiVersion = { major: 1, minor: 47 };

/** As node:http takes it. */
export type EngineAddress = { readonly socketPath: string } | { readonly host: string; readonly port: number };

/** Reads DOCKER_HOST; null is the default socket. Throws a StartError where it is neither `unix://` nor `tcp://`. */
export function engineAddress(dockerHost: string | null): EngineAddress {
  const host = dockerHost ?? `unix://${defaultSocket}`;
  if (host.startsWith('unix://')) return { socketPath: host.slice('unix://'.length) || defaultSocket };
  const url = URL.canParse(host) ? new URL(host) : null;
  if ((url?.protocol !== 'tcp:' && url?.protocol !== 'http:') || url.hostname === '') {
    throw new StartError(`DOCKER_HOST is ${host}: use unix:///path/to/docker.sock or tcp://host:port.`);
  }
  return { host: url.hostname, port: Number(url.port || defaultPort) };
}

/** Whether this code was written for that version of the API, written as the engine does: `1.44`. */
export function isKnownApi(version: string): boolean {
  const parts = /^([1-9]\d?)\.([1-9]\d?)$/.exec(version);
  if (parts === null) return false;
  const asked = { major: Number(parts[1]), minor: Number(parts[2]) };
  return compareApi(asked, oldestApi) >= 0 && compareApi(asked, newestApi) <= 0;
}

/** Below 0 where `one` is the older. */
export function compareApi(one: ApiVersion, other: ApiVersion): number {
  return one.major - other.major || one.minor - other.minor;
}
