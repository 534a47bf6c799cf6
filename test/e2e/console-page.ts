import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { z } from 'zod';
import { LoginLinkReply, type Role } from '#shared/operator-schemas.ts';
import { stateDir } from '../../manifests/deploy/machine/places.ts';
import type { ControllerProcess } from '../support/controller-process.ts';
import { until } from './installation.ts';

/** For anything on the page. */
const waitsMost = 20_000;

/** Where a person looks at them; git ignores it. */
const screenshots = join(stateDir, 'screenshots');

/** The console in a browser of its own, as an operator sees it. */
export interface ConsolePage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** what the browser complained of: errors of scripts, of the policy, of loading */
  readonly complaints: readonly string[];
  /** Waits for a line of the terminal that is shown, and answers what matched. It has to be read aloud. */
  sees(line: RegExp): Promise<RegExpExecArray>;
  screenshot(name: string): Promise<void>;
  /** What can be used on this page and has no name, so that a screen reader has nothing to say of it. */
  nameless(): Promise<string[]>;
}

const usable = new Set(['button', 'link', 'textbox', 'combobox', 'checkbox', 'searchbox', 'dialog', 'region', 'tab']);
const AccessibilityTree = z.object({
  nodes: z.array(
    z.looseObject({
      ignored: z.boolean(),
      role: z.looseObject({ value: z.string() }).optional(),
      name: z.looseObject({ value: z.string() }).optional(),
    }),
  ),
});

/** A link that logs in, as `spoonbox console` prints it, at the address of this controller. */
export async function loginLink(
  controller: Pick<ControllerProcess, 'ask' | 'url'>,
  role: Role = 'admin',
): Promise<string> {
  const { json } = await controller.ask('POST', '/v1/login-links', { role });
  return `${controller.url}/console/${new URL(LoginLinkReply.parse(json).url).hash}`;
}

/** `differs`: what the browser's own settings are besides. */
export async function openConsole(
  browser: Browser,
  url: string,
  differs: BrowserContextOptions = {},
): Promise<ConsolePage> {
  const viewport = { width: 1280, height: 800 };
  const context = await browser.newContext({ viewport, colorScheme: 'light', ...differs });
  // Text that is drawn with WebGL cannot be read; what is kept for screen readers can.
  await context.addInitScript("localStorage.setItem('spoonbox-read-aloud', 'yes')");
  const page = await context.newPage();
  page.setDefaultTimeout(waitsMost);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} (${message.location().url})`);
  });
  await page.goto(url);
  return {
    page,
    context,
    complaints,
    async sees(line) {
      const rows = page.locator('section.terminal:visible .xterm-accessibility-tree > div');
      return await until(`a line ${line} in the terminal`, async () => {
        for (const text of await rows.allInnerTexts()) {
          // A row is padded with spaces that do not break.
          const found = line.exec(text.replaceAll('\u00a0', ' ').trimEnd());
          if (found) return found;
        }
        return null;
      });
    },
    async nameless() {
      const devtools = await context.newCDPSession(page);
      const { nodes } = AccessibilityTree.parse(await devtools.send('Accessibility.getFullAXTree'));
      await devtools.detach();
      const used = nodes.filter(({ ignored, role }) => !ignored && usable.has(role?.value ?? ''));
      if (used.length < 5) throw new Error(`of a page that is used there would be more: ${JSON.stringify(used)}`);
      return used.filter(({ name }) => (name?.value ?? '').trim() === '').map(({ role }) => role?.value ?? '');
    },
    async screenshot(name) {
      mkdirSync(screenshots, { recursive: true });
      await page.screenshot({ path: join(screenshots, `console-${name}.png`) });
    },
  };
}
