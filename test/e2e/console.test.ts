import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UserName } from '#shared/identity.ts';
import { reasonTexts } from '#shared/reasons.ts';
import { ensureConsole } from '../../manifests/deploy/machine/console.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { browserProgram, launchBrowser, prompt } from './browser-page.ts';
import { type ConsolePage, loginLink, openConsole } from './console-page.ts';
import { boxOf, createInstallation, type Installation, lease, until } from './installation.ts';

const narrow = { width: 390, height: 844 };

/** Whether the packed font of symbols is there, and draws a glyph that no other font here has. */
const drawnWithSymbols = `(() => {
  const drawn = (font, text) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 60, height: 60 });
    const context = canvas.getContext('2d');
    context.font = '40px ' + font;
    context.fillText(text, 5, 45);
    return canvas.toDataURL();
  };
  const faces = [...document.fonts].filter(({ family }) => family.includes('Spoonbox Symbols'));
  return {
    loaded: faces.length > 0 && faces.every(({ status }) => status === 'loaded'),
    differ: ['\\ue0b0', '\\ue0a0', '\\uf09b'].every(
      (glyph, at, all) =>
        drawn("'Spoonbox Symbols'", glyph) !== drawn('monospace', glyph) &&
        drawn("'Spoonbox Symbols'", glyph) !== drawn("'Spoonbox Symbols'", all[(at + 1) % all.length]),
    ),
  };
})()`;

/** The console that is built from these sources, in a real browser, over real processes and real boxes. */
describe.skipIf(browserProgram === undefined)('the console', () => {
  let installation: Installation;
  let controller: ControllerProcess;
  let browser: Browser;
  beforeAll(async () => {
    await ensureConsole({ progress: () => {}, done: () => {} }, AbortSignal.timeout(90_000));
    installation = await createInstallation();
    await installation.gateway();
    controller = await installation.controller();
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser?.close();
    await installation?.[Symbol.asyncDispose]();
  });

  async function logIn(): Promise<ConsolePage> {
    const console = await openConsole(browser, await loginLink(controller));
    await console.page.getByRole('region', { name: 'Boxes' }).waitFor();
    return console;
  }

  /** Opens a box by the keys alone: filters by its name, and presses Enter on the only one that is left. */
  async function openByKeys({ page }: ConsolePage, user: UserName): Promise<void> {
    await page.keyboard.press('b');
    await page.getByRole('region', { name: 'Boxes' }).waitFor();
    await page.getByRole('rowheader', { name: user }).waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type(user);
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: user }).waitFor();
  }

  test('logs in by a link, starts a box, watches it get ready, types in its terminal, sees what happened, and reaps it', async () => {
    const user = installation.newUser('alice');
    const console = await logIn();
    const { page } = console;
    // The code is in no address and no history any more.
    expect(page.url()).toBe(`${controller.url}/console/#/boxes`);
    expect(await page.evaluate('history.length')).toBeLessThanOrEqual(2);

    await page.keyboard.press('n');
    await page.getByLabel('For the user').fill(user);
    await page.getByLabel('Keep it').selectOption({ label: 'for 1 hour, by a pin' });
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: user }).waitFor();
    const lit = page.locator('.state-present');
    await until('the box is ready, and its state lit', async () => {
      return (await lit.getAttribute('data-state')) === 'ready.active';
    });
    const timeline = page.getByRole('region', { name: 'Timeline' });
    await timeline.getByText('provisioning.probing → ready.active').waitFor();
    await page.getByRole('region', { name: 'Leases' }).getByText('console-pin').waitFor();

    await page.keyboard.press('t');
    await console.sees(prompt);
    await page.keyboard.type('echo "sum $((40+2)) $(stty size)"\n');
    const [, rows, cols] = await console.sees(/^sum 42 (\d+) (\d+)$/);
    expect(Number(rows)).toBeGreaterThan(20);
    expect(Number(cols)).toBeGreaterThan(100);
    await page.keyboard.type("printf '\\ue0b0 \\ue0a0 main \\uf09b -> => != === <= |>\\n'\n");
    await console.sees(/main/);
    // `document.fonts.check` is content with a font that there is none of.
    expect(await page.evaluate(drawnWithSymbols)).toEqual({ loaded: true, differ: true });
    await console.screenshot('terminal-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await console.screenshot('terminal-dark');
    await page.emulateMedia({ colorScheme: 'light' });

    await page.goBack();
    await page.getByRole('region', { name: 'Leases' }).getByText(`terminal of ${user}`).waitFor();
    await page.getByRole('region', { name: 'Next pass' }).getByText('somebody holds it').waitFor();
    const lines = page.locator('.facts .sparkline-line');
    await until('processors and memory have a line', async () => {
      const paths = await lines.evaluateAll((all) => all.map((line) => line.getAttribute('d') ?? ''));
      return paths.length === 2 && paths.every((path) => path.startsWith('M'));
    });
    const taken = await page.locator('.edge-taken').count();
    expect(taken).toBeGreaterThanOrEqual(3);
    await page.locator('[data-state="reaping.stopping"]').focus();
    await page.getByText('what was drained is gone').waitFor();
    expect(await console.nameless()).toEqual([]);
    await console.screenshot('box-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await console.screenshot('box-dark');

    await page.getByRole('button', { name: 'Reap', exact: true }).click();
    const asked = page.getByRole('dialog');
    expect(await asked.textContent()).toContain(`Only the home of ${user} survives`);
    await console.screenshot('reap-dark');
    expect((await boxOf(controller, user)).phase).toBe('ready');
    await asked.getByRole('button', { name: 'Reap the box' }).click();
    await until('the state is absent', async () => (await lit.getAttribute('data-state')) === 'absent');
    await timeline.getByText('reaping.removing → absent').waitFor();
    expect((await boxOf(controller, user)).lastReap?.cause).toBe('reap');
    await page.getByRole('link', { name: `${user}, terminal` }).click();
    await page.getByText('an operator reaped the box').waitFor();
    expect(console.complaints).toEqual([]);
    await console.context.close();
  }, 180_000);

  test('is used by the keys alone, and at 390 px nothing is cut off or has to be scrolled sideways', async () => {
    const user = installation.newUser('bob');
    await lease(controller, user);
    const console = await logIn();
    const { page } = console;
    await page.getByText('job of test').waitFor();
    await console.screenshot('boxes-light');
    await page.emulateMedia({ colorScheme: 'dark' });
    await console.screenshot('boxes-dark');
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    await openByKeys(console, user);
    await page.keyboard.press('r');
    await page
      .getByRole('region', { name: 'Queue' })
      .or(page.getByRole('region', { name: 'Loop' }))
      .waitFor();
    await page.getByRole('region', { name: 'Places' }).getByText('no limit').first().waitFor();
    await page.getByRole('region', { name: 'Rollout' }).getByText('up to date').first().waitFor();
    await page.getByRole('region', { name: 'Amnesty and pacer' }).getByText('most in a minute').waitFor();
    await console.screenshot('reconciler-dark');
    await page.emulateMedia({ colorScheme: 'light' });
    await console.screenshot('reconciler-light');
    await page.emulateMedia({ colorScheme: 'dark' });

    await page.setViewportSize(narrow);
    for (const [name, where] of [
      ['boxes', '#/boxes'],
      ['box', `#/boxes/${user}`],
      ['reconciler', '#/reconciler'],
      ['terminal', `#/terminal/${user}`],
    ] as const) {
      await page.goto(`${controller.url}/console/${where}`);
      if (name === 'terminal') await console.sees(prompt);
      else
        await page
          .getByText(name === 'reconciler' ? 'this process' : user)
          .first()
          .waitFor();
      await console.screenshot(`${name}-narrow`);
      await page.emulateMedia({ colorScheme: 'light' });
      await console.screenshot(`${name}-narrow-light`);
      await page.emulateMedia({ colorScheme: 'dark' });
      const overflow =
        "[document.documentElement, document.getElementById('main')].map((e) => e.scrollWidth - e.clientWidth)";
      expect(await page.evaluate(overflow), name).toEqual([0, 0]);
      expect(await console.nameless(), name).toEqual([]);
    }
    expect(console.complaints).toEqual([]);
    await console.context.close();
  });

  test('a terminal is looked at without a word, and what its programs want of the person is asked about', async () => {
    const user = installation.newUser('carol');
    const console = await logIn();
    const { page } = console;
    await page.goto(`${controller.url}/console/#/terminal/${user}`);
    await console.sees(prompt);
    const watching = await openConsole(browser, await loginLink(controller));
    await openByKeys(watching, user);
    await watching.page.getByRole('button', { name: /^Watch s/ }).click();
    await watching.page.getByText('read-only', { exact: true }).waitFor();
    await watching.page.locator('.xterm-helper-textarea:visible').focus();
    await watching.page.keyboard.type('echo "by $((0))"\n');
    await page.keyboard.type('echo "only $((40+2))"\n');
    await watching.sees(/^only 42$/);
    expect(await page.locator('.xterm-accessibility-tree').textContent()).not.toContain('by');
    await page.getByText('also here').waitFor();

    const encoded = Buffer.from('hello from a box').toString('base64');
    await page.keyboard.type(`printf '\\e]52;c;${encoded}\\a'\n`);
    await page.getByText('wants to copy 16 characters').waitFor();
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    const asked = page.getByRole('dialog', { name: 'Copy this to your clipboard?' });
    expect(await asked.textContent()).toContain('hello from a box');
    await asked.getByRole('button', { name: 'No' }).click();

    // A program that asks again and again, in a terminal that nobody looks at, takes nothing from the page.
    await page.keyboard.type(
      `for i in $(seq 60); do sleep 0.1; printf '\\e]52;c;${encoded}\\a'; done; echo "over $((40+2))"\n`,
    );
    await page.getByText('wants to copy 16 characters').waitFor();
    await page.getByRole('link', { name: 'Spoonbox, all boxes' }).click();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keys' }).waitFor();
    await page.keyboard.press('Escape');
    expect(await page.locator('dialog:modal').count()).toBe(0);
    await page.getByRole('link', { name: `${user}, terminal` }).click();
    await page.getByRole('button', { name: 'No', exact: true }).click();
    await page.getByText('wants to copy').waitFor({ state: 'detached' });
    await console.sees(/^over 42$/);
    expect(await page.getByText('wants to copy').count()).toBe(0);
    expect(await watching.page.getByText('wants to copy').count()).toBe(0);

    // A reload comes back to the same shell.
    await page.keyboard.type('here=before; clear\n');
    await page.reload();
    await console.sees(prompt);
    await page.keyboard.type('echo "$here $((40+2))"\n');
    await console.sees(/^before 42$/);
    expect([...console.complaints, ...watching.complaints]).toEqual([]);
    await Promise.all([console.context.close(), watching.context.close()]);
  }, 120_000);

  test('a session that ends hangs up no shell: whoever logs in again goes on in it, and is asked before one ends', async () => {
    const user = installation.newUser('dave');
    const console = await logIn();
    const { page } = console;
    await page.goto(`${controller.url}/console/#/terminal/${user}`);
    await console.sees(prompt);
    await page.keyboard.type('here=before; clear; echo "set $((40+2))"\n');
    await console.sees(/^set 42$/);
    // What came before the terminal had a name leads to it, not to a second one.
    await page.evaluate(`location.hash = '#/terminal/${user}'`);
    await until('the address is that of the session', () => Promise.resolve(page.url().includes('session=')));
    await page.getByRole('link', { name: 'Spoonbox, all boxes' }).click();
    await console.context.clearCookies();
    await page.getByText('Your session has ended').waitFor();
    expect(await page.locator('.terminal:visible').count()).toBe(0);

    await page.goto(await loginLink(controller));
    await page.getByRole('link', { name: `${user}, terminal` }).click();
    await page.keyboard.type('echo "$here $((40+2))"\n');
    await console.sees(/^before 42$/);
    expect((await boxOf(controller, user)).sessions).toHaveLength(1);

    await page.getByRole('button', { name: 'Log out' }).click();
    expect(await page.getByRole('dialog', { name: 'Log out?' }).textContent()).toContain(user);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: `Close the terminal of ${user}` }).click();
    await page.getByRole('button', { name: 'End the shell' }).click();
    await page.getByText('None is open.').waitFor();
    expect(await page.getByRole('link', { name: `${user}, terminal` }).count()).toBe(0);
    await console.context.close();
  });

  test('a page that is older than the console that is served says so where a part of it is gone', async () => {
    const console = await logIn();
    const { page } = console;
    await page.route(/terminal-pane-.*\.js/, (route) => route.fulfill({ status: 404, body: '' }));
    await page.evaluate(`location.hash = '#/terminal/${installation.newUser('erin')}'`);
    await page.getByText('the console was built anew').waitFor();
    await page.getByRole('button', { name: 'Load the page again' }).waitFor();
    await page.keyboard.press('b');
    await page.getByRole('region', { name: 'Boxes' }).waitFor();
    await console.context.close();
  });

  test('the mode of the reconciler is changed only after a question, with the reason that was given', async () => {
    const console = await logIn();
    const { page } = console;
    await page.keyboard.press('r');
    await page.getByRole('button', { name: 'Drain …' }).click();
    await page.getByLabel('Why (others see it)').fill('new kernel');
    await page.getByRole('button', { name: 'Drain', exact: true }).click();
    await page.getByText('“new kernel”').waitFor();
    // Who waits because of that is told in the words of the table of reasons.
    const user = installation.newUser('grace');
    await lease(controller, user, 0);
    await page.goto(`${controller.url}/console/#/boxes/${user}`);
    const conditions = page.getByRole('region', { name: 'Conditions' });
    await conditions.getByText('Drained').first().waitFor();
    await conditions.getByText(reasonTexts.Drained.means.slice(0, 40)).waitFor();
    await page.keyboard.press('r');
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByRole('button', { name: 'Run', exact: true }).click();
    await page.getByRole('button', { name: 'Pause …' }).waitFor();
    await page.getByRole('region', { name: 'Mode' }).getByText('run', { exact: true }).waitFor();
    expect(console.complaints).toEqual([]);
    await console.context.close();
  });

  test('who has no session is told how to get in, and a link works once', async () => {
    const link = await loginLink(controller);
    const first = await openConsole(browser, link);
    await first.page.getByRole('region', { name: 'Boxes' }).waitFor();
    await first.page.getByRole('button', { name: 'Log out' }).click();
    await first.page.getByText('npx spoonbox console').waitFor();
    await first.page.reload();
    await first.page.getByText('npx spoonbox console').waitFor();
    await first.screenshot('log-in-light');
    const second = await openConsole(browser, link);
    await second.page.getByRole('alert').waitFor();
    expect(second.page.url()).not.toContain('login');
    await Promise.all([first.context.close(), second.context.close()]);
  });

  test('who may only look is offered nothing else', async () => {
    const user = installation.newUser('frank');
    await lease(controller, user);
    const console = await openConsole(browser, await loginLink(controller, 'viewer'));
    await openByKeys(console, user);
    const { page } = console;
    await page.getByRole('region', { name: 'Leases' }).locator('.kind-job').waitFor();
    const offers = page.getByRole('button', { name: /^(Terminal|Recreate|Reap|Delete|Release|Start|Watch|Join)/ });
    expect(await offers.count()).toBe(0);
    expect(await page.getByLabel(/^Pin the box/).count()).toBe(0);
    await page.keyboard.press('r');
    await page.getByRole('region', { name: 'Mode' }).getByText('run', { exact: true }).waitFor();
    expect(await page.getByRole('button', { name: /^(Drain|Pause)/ }).count()).toBe(0);
    await page.keyboard.press('b');
    await page.getByRole('rowheader', { name: user }).waitFor();
    expect(await offers.count()).toBe(0);
    expect(console.complaints).toEqual([]);
    await console.context.close();
  });

  test('what is seen is marked as old as soon as the controller is gone', async () => {
    const console = await logIn();
    await controller.stop();
    await console.page.getByText('What you see is not up to date').waitFor();
    await console.page.getByRole('button', { name: 'Try now' }).click();
    await console.page.getByText('the controller does not answer').waitFor();
    await console.context.close();
  });
});
