import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { z } from 'zod';
import { places } from './places.ts';
import { Refusal } from './refusal.ts';
import { writePrivately } from './run-record.ts';

const secretBytes = 32;
const Port = z.coerce.number().int().min(1).max(65_535);

export type Settings = Readonly<Record<string, string>>;

/**
 * The environment, else the `.env` file of the checkout. An empty value counts as absent, as everywhere in Spoonbox.
 * Both also become this process's environment, because Docker's client library looks only there.
 */
export function readSettings(): Settings {
  const settings = { ...filled(readEnvFile(places.dotenv)), ...filled(process.env) };
  Object.assign(process.env, settings);
  return settings;
}

/** The secrets of this installation, those that nobody has set made now; `made` names them. Never printed. */
export function readSecrets(settings: Settings): { secrets: Settings; made: readonly string[] } {
  const kept = filled(readEnvFile(places.secrets));
  const needed = ['SPOON_AGENT_WORKER_INTERNAL_TOKEN', 'REDIS_PASSWORD'];
  if (settings.INSTANCE_SECRET === undefined) needed.push('SPOON_ENCRYPTION_KEY');
  const made = needed.filter((name) => settings[name] === undefined && kept[name] === undefined);
  if (made.length > 0) {
    for (const name of made) kept[name] = randomBytes(secretBytes).toString('base64url');
    const lines = Object.entries(kept).map(([name, value]) => `${name}=${value}\n`);
    writePrivately(places.secrets, `# Made by npm start. The environment and .env win over it.\n${lines.join('')}`);
  }
  return { secrets: kept, made };
}

export function readPort(settings: Settings, name: string, otherwise: number): number {
  const parsed = Port.safeParse(settings[name] ?? otherwise);
  if (!parsed.success) throw new Refusal(`${name}=${settings[name]} is no port: set it to a number from 1 to 65535`);
  return parsed.data;
}

function readEnvFile(path: string): NodeJS.Dict<string> {
  return existsSync(path) ? parseEnv(readFileSync(path, 'utf8')) : {};
}

function filled(values: NodeJS.Dict<string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [[name, value]])),
  );
}
