import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { z } from 'zod';
import { patienceMs } from '../support/patience.ts';
import { until } from './installation.ts';
import { createOwnNetwork } from './own-network.ts';

/** Debian's, Ubuntu's and Google's own; `npm test` installs the first where it can. */
const programs = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
export const browserProgram = programs.find((path) => existsSync(path));

export const prompt = /:~\$ ?$/;

const quiet = [
  ...['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  ...['--disable-component-update', '--disable-sync'],
];

export async function launchBrowser(): Promise<Browser> {
  if (browserProgram === undefined) throw new Error(`none of ${programs.join(', ')} is here: install chromium`);
  const network = await createOwnNetwork(browserProgram);
  try {
    const args = [...quiet, ...network.flags];
    const browser = await chromium.launch({ executablePath: network.program, headless: true, args });
    browser.once('disconnected', () => void network.close());
    return browser;
  } catch (error) {
    await network.close();
    throw error;
  }
}

/** A page with a terminal, as a person sees and uses it. */
export interface TerminalPage {
  readonly page: Page;
  /** Everything in the terminal, scrolled away or not, without the spaces at the ends of lines. */
  lines(): Promise<string[]>;
  /** Waits for a line, and answers what matched. */
  sees(line: RegExp): Promise<RegExpExecArray>;
  /** Types as on a keyboard. */
  type(text: string): Promise<void>;
  press(key: string): Promise<void>;
  /** What the client library told of this type. */
  events(type: string): Promise<Record<string, unknown>[]>;
}

const Lines = z.array(z.string());
const Events = z.array(z.looseObject({ type: z.string() }));

const readLines = `(() => {
  const { active } = spoonbox.terminal.buffer;
  return Array.from({ length: active.length }, (_, row) => active.getLine(row).translateToString(true));
})()`;

export async function openTerminalPage(browser: Browser, url: string): Promise<TerminalPage> {
  const page = await browser.newPage();
  const broken: string[] = [];
  page.on('pageerror', (error) => broken.push(String(error)));
  page.on('response', (answer) => {
    if (answer.status() >= 400 && !answer.url().endsWith('.ico')) broken.push(`${answer.url()}: ${answer.status()}`);
  });
  await page.goto(url);
  await page.waitForFunction('window.spoonbox !== undefined', null, { timeout: patienceMs, polling: 50 });
  await page.locator('.xterm-helper-textarea').focus();
  const lines = async (): Promise<string[]> => Lines.parse(await page.evaluate(readLines));
  return {
    page,
    lines,
    async sees(line) {
      try {
        return await until(`a line ${line} in the terminal`, async () => {
          if (broken.length > 0) throw new Error(`the page is broken: ${broken.join('; ')}`);
          for (const text of await lines()) {
            const found = line.exec(text);
            if (found) return found;
          }
          return null;
        });
      } catch (error) {
        const told = String(
          await page.evaluate(
            'JSON.stringify(spoonbox.events.slice(-6).map((event) => ({ ...event, ticket: undefined })))',
          ),
        );
        throw new Error(
          `${error}; the last lines: ${JSON.stringify((await lines()).filter(Boolean).slice(-10))}; told: ${told}`,
        );
      }
    },
    type: (text) => page.keyboard.type(text),
    press: (key) => page.keyboard.press(key),
    async events(type) {
      const events = Events.parse(JSON.parse(String(await page.evaluate('JSON.stringify(spoonbox.events)'))));
      return events.filter((event) => event.type === type);
    },
  };
}

/** How far the counter is on the screen. */
export function counted(lines: readonly string[]): number {
  return linesOfCounter(lines).length;
}

const rowsAround = 5;

/** The same where each line of the counter is there, once, in order; else throws with the rows around the first that is not. */
export function countedWhole(lines: readonly string[]): number {
  const found = linesOfCounter(lines);
  const wrong = found.findIndex(({ number }, index) => number !== index + 1);
  const at = found[wrong];
  if (at === undefined) return found.length;
  const rows = lines.slice(Math.max(0, at.row - rowsAround), at.row + rowsAround);
  throw new Error(`n${wrong + 1} is not where it belongs, but n${at.number}; the rows there: ${JSON.stringify(rows)}`);
}

function linesOfCounter(lines: readonly string[]): { readonly number: number; readonly row: number }[] {
  return lines.flatMap((line, row) => (/^n\d+$/.test(line) ? [{ number: Number(line.slice(1)), row }] : []));
}

/**
 * Counts until a line is typed. Not until Ctrl-C: that goes to the program in the foreground alone, and where it meets one that
 * is just ending, to nobody. Without echo: of a line that is typed key by key, each would stand in the counter's lines.
 */
export function counter(everySeconds: number): string {
  return `stty -echo; i=0; while ! read -rt ${everySeconds} s; do i=$((i+1)); echo n$i; done; stty echo\n`;
}

/** What ends the counter. */
export const stopCounter = 'stop\n';
