import { fileURLToPath } from 'node:url';
import { type ApiClient, createApiClient } from '../sdk/api-client.ts';
import { type Spoonbox, spoonboxAt } from '../sdk/connect.ts';
import { findSettings, type Settings } from '../sdk/settings.ts';

interface Flags {
  readonly server?: string | undefined;
  readonly token?: string | undefined;
}

const project = fileURLToPath(new URL('../..', import.meta.url));

/** The client for the flags, the environment and the working directory of this process. */
export function openClient(flags: Flags): ApiClient & { settings: Settings } {
  const settings = settingsOf(flags);
  return { ...createApiClient(settings), settings };
}

export function openSpoonbox(flags: Flags): Spoonbox {
  return spoonboxAt(settingsOf(flags));
}

/** Last in the project itself: `npx spoonbox` from elsewhere. */
function settingsOf(flags: Flags): Settings {
  return findSettings(flags, process.env, [process.cwd(), project]);
}
