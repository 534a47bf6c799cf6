/** A deeper or longer value is not worth a constructor. */
const depthMost = 20;
const lengthMost = 20_000;

/** A JSON value as an expression of Lua, in which `null` is a variable; null = too deep or too long for one. */
export function luaConstructor(value: unknown): string | null {
  const source = expression(value, 0);
  return source === null || source.length > lengthMost ? null : source;
}

function expression(value: unknown, depth: number): string | null {
  if (depth > depthMost) return null;
  if (typeof value === 'string') return quoted(value);
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'object' || value === null) return 'null';
  const parts: string[] = [];
  const isList = Array.isArray(value);
  for (const [key, item] of Object.entries(value)) {
    const inner = expression(item, depth + 1);
    if (inner === null) return null;
    parts.push(isList ? inner : `[${quoted(key)}]=${inner}`);
  }
  return `{${parts.join(',')}}`;
}

function quoted(text: string): string {
  const escaped = text.replace(/[\\"\n\r\0]/g, (found) => `\\${String(found.charCodeAt(0)).padStart(3, '0')}`);
  return `"${escaped}"`;
}
