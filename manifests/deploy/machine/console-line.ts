import { createApiClient } from '../../../controller/sdk/api-client.ts';
import { SpoonboxError } from '../../../controller/sdk/errors.ts';
import type { ClientFile } from './installation.ts';
import { say } from './steps.ts';

/** What `npm start` says of the console: a link that logs in, or, where there is none, how to get one. Never rejects for that. */
export async function consoleLine({ server, token }: ClientFile, signal: AbortSignal): Promise<string> {
  try {
    const { url } = await createApiClient({ server, token }).loginLink(null, signal);
    return `${url} (once, within 5 minutes; then: npx spoonbox console)`;
  } catch (error) {
    if (!(error instanceof SpoonboxError)) throw error;
    say(`!!  No link to the console: ${error.message}`);
    return 'npx spoonbox console prints a link';
  }
}
