import type { Browser } from 'playwright-core';
import type { ControllerProcess } from '../support/controller-process.ts';
import { createNetwork, type Network } from './browser-network.ts';
import { launchBrowser, openTerminalPage, prompt, type TerminalPage } from './browser-page.ts';
import { type Site, serveSite } from './browser-site.ts';
import { createInstallation, type Installation } from './installation.ts';

/** A real browser and a site with terminals, a network that can be lost, a controller, and gateways as the test starts them. */
export interface BrowserWorld extends AsyncDisposable {
  readonly installation: Installation;
  readonly network: Network;
  startGateway(): ReturnType<Installation['gateway']>;
  openPage(user: string, page?: string): Promise<TerminalPage>;
  /** A page whose shell has said its process id. */
  openShell(user: string): Promise<{ terminal: TerminalPage; shell: string }>;
}

/** `terminal`: what the class says of terminals, as in its file. */
export async function createBrowserWorld(terminal = '{}'): Promise<BrowserWorld> {
  const undo = new AsyncDisposableStack();
  try {
    const installation: Installation = undo.use(await createInstallation());
    // A line of the file with one more below it.
    const stopGrace = `15s\nterminal: ${terminal}`;
    const classes = { SPOON_CLASSES: await installation.classes({ default: { stopGrace } }) };
    const controller: ControllerProcess = await installation.controller(classes);
    const network = await createNetwork(installation.gatewayPort);
    undo.defer(() => network.close());
    const site: Site = await serveSite(controller, network.port);
    undo.defer(() => site.close());
    const browser: Browser = await launchBrowser();
    undo.defer(() => browser.close());
    const openPage = (user: string, page = 'spoonbox'): Promise<TerminalPage> =>
      openTerminalPage(browser, `${site.url}/page/${page}.html?user=${user}`);
    const owned = undo.move();
    return {
      installation,
      network,
      startGateway: () => installation.gateway(classes),
      openPage,
      async openShell(user) {
        const terminal = await openPage(user);
        await terminal.sees(prompt);
        await terminal.type('echo "shell $$"\n');
        const [, shell] = await terminal.sees(/^shell (\d+)$/);
        return { terminal, shell: shell ?? '' };
      },
      [Symbol.asyncDispose]: () => owned.disposeAsync(),
    };
  } catch (error) {
    await undo.disposeAsync();
    throw error;
  }
}
