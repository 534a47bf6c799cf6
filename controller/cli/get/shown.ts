import { hint, print, table } from '../output.ts';
import type { Kind, Listed, Row } from './kind.ts';

export const formats = ['table', 'wide', 'json', 'yaml', 'name'] as const;
export type Format = (typeof formats)[number];

export function cellsOf({ cells, wide }: Row, format: Format): string[] {
  return format === 'wide' ? [...cells, ...wide] : [...cells];
}

/** Prints a list, or the one thing that was asked for by its name. */
export async function show(
  kind: Kind,
  listed: readonly Listed[],
  format: Format,
  of: { one: boolean; header: boolean },
): Promise<void> {
  const value = of.one && listed.length === 1 ? listed[0]?.value : { items: listed.map((item) => item.value) };
  switch (format) {
    case 'json':
      print(JSON.stringify(value, null, 2));
      return;
    case 'yaml':
      print(await yamlOf(value));
      return;
    case 'name':
      for (const { name } of listed) print(name);
      return;
    default: {
      if (listed.length === 0) {
        hint(kind.none);
        return;
      }
      const rows = listed.map(({ row }) => cellsOf(row, format));
      for (const line of table(of.header ? [cellsOf(kind.header, format), ...rows] : rows)) print(line);
    }
  }
}

/** One of a stream of values: a line of JSON, which after `---` is a YAML document too. */
export function documentOf(format: 'json' | 'yaml', value: unknown): string {
  return `${format === 'yaml' ? '--- ' : ''}${JSON.stringify(value)}`;
}

/** Loaded where it is asked for: every command would wait for it. */
async function yamlOf(value: unknown): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify(JSON.parse(JSON.stringify(value))).trimEnd();
}
