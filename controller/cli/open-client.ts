import { type ApiClient, createApiClient } from '../sdk/api-client.ts';
import { findSettings, type Settings } from './settings.ts';

/** The client for the flags, the environment and the working directory of this process. */
export function openClient(flags: {
  server?: string | undefined;
  token?: string | undefined;
}): ApiClient & { settings: Settings } {
  const settings = findSettings(flags, process.env, process.cwd());
  return { ...createApiClient(settings), settings };
}
