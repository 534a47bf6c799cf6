import { readFileSync } from 'node:fs';
import type { ScriptName } from './redis-port.ts';

const folder = new URL('../lua/', import.meta.url);
const includeLine = /^-- @include (\S+)$/gm;

/** The text of a script as Redis gets it: its own file, with the common parts that it names put in. */
export function scriptText(name: ScriptName): string {
  return read(name);
}

function read(name: string): string {
  const text = readFileSync(new URL(`${name}.lua`, folder), 'utf8');
  return text.replace(includeLine, (_line, part: string) => read(part));
}
