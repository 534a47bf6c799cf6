import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';

/** The `.env` of a deployment that ran Spoon's own worker, as Node's and compose's readers take it. */
export function legacyEnvironment(): Record<string, string> {
  const text = readFileSync(new URL('./legacy.env', import.meta.url), 'utf8');
  return Object.fromEntries(Object.entries(parseEnv(text)).map(([name, value]) => [name, value ?? '']));
}
