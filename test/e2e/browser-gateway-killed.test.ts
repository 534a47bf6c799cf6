import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { browserProgram, counted, countedWhole, counter, stopCounter } from './browser-page.ts';
import { type BrowserWorld, createBrowserWorld } from './browser-world.ts';
import { until } from './installation.ts';

/** A class whose shells outlive their gateway, and a gateway that is killed. */
describe.skipIf(browserProgram === undefined)('in a browser', () => {
  let world: BrowserWorld;
  beforeAll(async () => {
    world = await createBrowserWorld("{ persist: tmux, record: 'off' }");
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  test('a terminal goes on with the same shell and its counter behind another gateway after kill -9', async () => {
    const killed = await world.startGateway();
    const { terminal, shell } = await world.openShell(world.installation.newUser('alice'));
    await terminal.type(counter(0.05));
    await terminal.sees(/^n50$/);

    await killed.kill();
    await until('the loss is told', async () => (await terminal.events('reconnecting')).length > 0);
    const seenAtLoss = counted(await terminal.lines());
    await world.startGateway();
    await until('the second hello', async () => (await terminal.events('hello')).length === 2);
    await terminal.sees(new RegExp(`^n${seenAtLoss + 100}$`));

    await terminal.type(stopCounter);
    await terminal.type('echo "over $((40+2)) $$"\n');
    expect((await terminal.sees(/^over (.*)$/))[1]).toBe(`42 ${shell}`);
    // All of tmux's history and screen, each line once.
    expect(countedWhole(await terminal.lines())).toBeGreaterThanOrEqual(seenAtLoss + 100);
    expect((await terminal.events('hello')).map(({ start }) => start)).toEqual(['new', 'screen']);
    await terminal.type('exit 3\n');
    await until('the exit', async () => (await terminal.events('exit'))[0]?.code === 3);
    await terminal.page.close();
  });
});
