import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ControllerProcess } from '../support/controller-process.ts';
import {
  browserProgram,
  counted,
  counter,
  stopCounter,
  launchBrowser,
  openTerminalPage,
  prompt,
} from './browser-page.ts';
import { type Site, serveSite } from './browser-site.ts';
import { createInstallation, type Installation, until } from './installation.ts';

/** A class whose shells outlive their gateway, and a gateway that is killed. */
describe.skipIf(browserProgram === undefined)('in a browser', () => {
  let installation: Installation;
  let controller: ControllerProcess;
  let classes: { readonly SPOON_CLASSES: string };
  let site: Site;
  let browser: Browser;
  beforeAll(async () => {
    installation = await createInstallation();
    // A line of the file with one more below it.
    const stopGrace = "15s\nterminal: { persist: tmux, record: 'off' }";
    classes = { SPOON_CLASSES: await installation.classes({ default: { stopGrace } }) };
    controller = await installation.controller(classes);
    site = await serveSite(controller, installation.gatewayPort);
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
    await installation[Symbol.asyncDispose]();
  });

  test('a terminal goes on with the same shell and its counter behind another gateway after kill -9', async () => {
    const user = installation.newUser('alice');
    const killed = await installation.gateway(classes);
    const terminal = await openTerminalPage(browser, `${site.url}/page/spoonbox.html?user=${user}`);
    await terminal.sees(prompt);
    await terminal.type('echo "shell $$"\n');
    const [, shell] = await terminal.sees(/^shell (\d+)$/);
    await terminal.type(counter(0.05));
    await terminal.sees(/^n50$/);

    await killed.kill();
    await until('the loss is told', async () => (await terminal.events('reconnecting')).length > 0);
    const seenAtLoss = counted(await terminal.lines()).length;
    await installation.gateway(classes);
    await until('the second hello', async () => (await terminal.events('hello')).length === 2);
    await terminal.sees(new RegExp(`^n${seenAtLoss + 100}$`));

    await terminal.type(stopCounter);
    await terminal.type('echo "over $((40+2)) $$"\n');
    expect((await terminal.sees(/^over (.*)$/))[1]).toBe(`42 ${shell}`);
    const numbers = counted(await terminal.lines());
    // None twice, in order, and what is on the screen is whole. Weaker than wished: now and then tmux's history is not whole on the
    // screen of the one who comes back (one line at its seam with the screen, or its beginning); see PROOF.md.
    const all = Array.from({ length: numbers.at(-1) ?? 0 }, (_, index) => index + 1);
    const missing = all.filter((number) => !numbers.includes(number));
    expect(numbers).toEqual(all.filter((number) => !missing.includes(number)));
    expect(missing.filter((number) => number > all.length - 25)).toEqual([]);
    expect((await terminal.events('hello')).map(({ start }) => start)).toEqual(['new', 'screen']);
    await terminal.type('exit 3\n');
    await until('the exit', async () => (await terminal.events('exit'))[0]?.code === 3);
    await terminal.page.close();
  }, 120_000);
});
