import type { Finding } from '#shared/finding.ts';
import type { ApiClient } from '../../sdk/api-client.ts';
import type { Settings } from '../../sdk/settings.ts';
import { checkCertificates } from './check-certificate.ts';
import { checkBoxes, checkReconciler, checkToken } from './check-controller.ts';
import { checkGateway, checkOrigins } from './check-gateway.ts';
import { askController, checkClock } from './check-here.ts';

/** What the command knows by now. */
export interface Here {
  readonly client: ApiClient & { readonly settings: Settings };
  /** where terminals are opened; null where the server does not tell */
  readonly terminalUrl: string | null;
  /** Of the console, once the controller has told it. */
  consoleOrigin: string | null;
}

export interface CheckHere {
  readonly name: string;
  /** for the documents */
  readonly looksAt: string;
  /** Rejects with a SpoonboxError where it is refused. */
  run(here: Here, signal: AbortSignal): Promise<readonly Finding[]>;
}

/** Once the server has answered, in this order. */
export const checksHere: readonly CheckHere[] = [
  {
    name: 'token',
    looksAt: 'Who asks, in which role: some commands need admin.',
    run: async ({ client }, signal) => [await checkToken(client, signal)],
  },
  {
    name: 'controller',
    looksAt: 'The controller has the version of this command; then come its own checks, below.',
    async run(here, signal) {
      const { report, findings } = await askController(here.client, signal);
      here.consoleOrigin = report?.consoleOrigin ?? null;
      return [...findings, ...(report?.items ?? [])];
    },
  },
  {
    name: 'clock',
    looksAt: "Redis' clock is the one of this machine.",
    run: async ({ client }, signal) => [await checkClock(client, signal)],
  },
  {
    name: 'reconciler',
    looksAt:
      'A controller leads and beats; the mode is `run`; nobody is granted time because Redis is not trusted; no pass failed in the last minute.',
    run: ({ client }, signal) => checkReconciler(client, signal),
  },
  {
    name: 'boxes',
    looksAt: 'No box has failed to get ready.',
    run: ({ client }, signal) => checkBoxes(client, signal),
  },
  {
    name: 'certificate',
    looksAt: 'Certificates of the public addresses are trusted here, and valid for more than 14 days.',
    run({ client, terminalUrl }, signal) {
      const urls = [client.settings.server, ...(terminalUrl === null ? [] : [terminalUrl])];
      return checkCertificates(urls, Date.now(), signal);
    },
  },
  {
    name: 'gateway',
    looksAt:
      'A real WebSocket to the public address: it is upgraded, a message gets to the gateway, and its answer comes back.',
    run: async ({ terminalUrl }, signal) => (terminalUrl === null ? [] : [await checkGateway(terminalUrl, signal)]),
  },
  {
    name: 'origins',
    looksAt: 'Pages of the console may open terminals, and pages of elsewhere may not.',
    async run({ terminalUrl, consoleOrigin }, signal) {
      if (terminalUrl === null || consoleOrigin === null) return [];
      return [await checkOrigins(terminalUrl, consoleOrigin, signal)];
    },
  },
];

/** Before these: nothing else can be asked where it fails. After them, and only where it is asked for: a terminal. */
export const checksAround = {
  server: {
    name: 'server',
    looksAt:
      'A controller answers, within half a second; it has reached Redis and the engine, and what it warns of in `/readyz` (a vault that it cannot open). Nothing else is asked where none does.',
  },
  terminal: {
    name: 'terminal',
    looksAt:
      'With `--terminal USER`: the box is started, a shell answers, and answers again after a silence of 75 s (`--hold`), which is longer than the time that nginx gives a silent connection by default.',
  },
} as const;
