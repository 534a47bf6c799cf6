import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { browserProgram, counted, countedWhole, counter, prompt, stopCounter } from './browser-page.ts';
import { type BrowserWorld, createBrowserWorld } from './browser-world.ts';
import { until } from './installation.ts';

const awayMs = 20_000;
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Real pages in a real browser, against real processes and real boxes. Skipped, and counted as such, where there is no browser. */
describe.skipIf(browserProgram === undefined)('in a browser', () => {
  let world: BrowserWorld;
  beforeAll(async () => {
    world = await createBrowserWorld();
    await world.startGateway();
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  test('a terminal whose network is gone for 20 s goes on without a missing or doubled line', async () => {
    const { terminal, shell } = await world.openShell(world.installation.newUser('alice'));
    await terminal.type(counter(0.01));
    await terminal.sees(/^n100$/);

    world.network.lose();
    const seenAtLoss = counted(await terminal.lines());
    await sleep(awayMs / 2);
    // Typed into nothing: it must arrive once, and after all of it the loop ends.
    await terminal.type(stopCounter);
    await terminal.type('echo "over $((40+2)) $$"\n');
    await sleep(awayMs / 2);
    world.network.comeBack();

    expect((await terminal.sees(/^over (.*)$/))[1]).toBe(`42 ${shell}`);
    expect(countedWhole(await terminal.lines())).toBeGreaterThan(seenAtLoss + 100);
    expect((await terminal.events('hello')).map(({ start }) => start)).toEqual(['new', 'exact']);
    expect(await terminal.events('input-lost')).toEqual([]);
    expect((await terminal.lines()).filter((line) => line.startsWith('over'))).toHaveLength(1);
    await terminal.type('exit 3\n');
    const [closed] = await until('the end', async () => {
      const ends = await terminal.events('closed');
      return ends.length > 0 && ends;
    });
    expect(closed).toMatchObject({ how: 'exit' });
    expect(await terminal.events('exit')).toMatchObject([{ code: 3, reason: 'exited' }]);
    await terminal.page.close();
  });

  test('a paste goes through whole, and a key answers while much is printed', async () => {
    const terminal = await world.openPage(world.installation.newUser('bob'));
    await terminal.sees(prompt);
    await terminal.type("stty -echo; echo no-'echo'; wc -c; stty echo\n");
    await terminal.sees(/^no-echo$/);
    const lines = 20_000;
    await terminal.page.evaluate(`spoonbox.terminal.paste('x'.repeat(99).concat('\\n').repeat(${lines}))`);
    await terminal.press('Control+d');
    await terminal.sees(new RegExp(`^${lines * 100}$`));
    await terminal.type('yes\n');
    await terminal.sees(/^y$/);
    await terminal.press('Control+c');
    await terminal.type('echo "quiet $((40+2))"\n');
    await terminal.sees(/^quiet 42$/);
    await terminal.page.close();
  });

  test("xterm.js's own attach addon works in raw mode", async () => {
    const terminal = await world.openPage(world.installation.newUser('carol'), 'attach-addon');
    await terminal.sees(prompt);
    await terminal.type('echo "raw $((40+2)) — $(stty size)"\n');
    await terminal.sees(/^raw 42 — 30 100$/);
    await terminal.page.close();
  });
});
