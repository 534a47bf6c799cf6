import { LuaError } from './lua-error.ts';
import { eachPair, numberAt, type, typeAt, word } from './lua-memory.ts';

/** cjson's own limit. */
export const depthMost = 1_000;

/** The value at an address, as cjson writes it: an empty table is an object, a number has 14 digits. */
export function jsonAt(at: number, text: (address: number) => string, depth = 0): string {
  if (depth > depthMost) throw new LuaError(`Cannot serialise, excessive depth (${depth})`);
  switch (typeAt(at)) {
    case type.string:
      return JSON.stringify(text(word(at)));
    case type.number:
      return jsonNumber(numberAt(at));
    case type.boolean:
      return word(at) === 1 ? 'true' : 'false';
    case type.nil:
    case type.lightUserdata:
      return 'null';
    case type.table:
      return jsonTable(word(at), text, depth);
    default:
      throw new LuaError('Cannot serialise: type not supported');
  }
}

function jsonTable(table: number, text: (address: number) => string, depth: number): string {
  const items: string[] = [];
  let fields = '';
  eachPair(table, (key, at, index) => {
    const item = jsonAt(at, text, depth + 1);
    if (key !== 0 && typeAt(key) === type.string) {
      fields += `${fields === '' ? '' : ','}${JSON.stringify(text(word(key)))}:${item}`;
    } else if (key === 0 || typeAt(key) === type.number) items[(key === 0 ? index : numberAt(key)) - 1] = item;
    else throw new LuaError('Cannot serialise table: table key must be a number or string');
  });
  if (items.length === 0) return `{${fields}}`;
  if (fields !== '') throw new LuaError('Cannot serialise table: the simulated cjson knows no mixed keys');
  if (Object.keys(items).length !== items.length)
    throw new LuaError('Cannot serialise table: excessively sparse array');
  return `[${items.join(',')}]`;
}

function jsonNumber(number: number): string {
  if (!Number.isFinite(number)) throw new LuaError('Cannot serialise number: must not be NaN or Inf');
  const isPlain = Number.isInteger(number) && Math.abs(number) < 100_000_000_000_000;
  return String(isPlain ? number : Number(number.toPrecision(14)));
}
