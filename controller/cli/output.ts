import { stripVTControlCharacters, styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Colour only where a person looks at it and has not said no (NO_COLOR). */
export function colour(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  const wanted = stream.isTTY === true && !process.env.NO_COLOR;
  return wanted ? styleText(style, text, { validateStream: false }) : text;
}

/** Text of the server, made safe for a terminal: one line, no control characters. */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}+/gu, ' ');
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** For people, beside the output: progress and hints. */
export function hint(line: string): void {
  process.stderr.write(`${line}\n`);
}

const gap = '   ';

/** Columns padded to their widest cell; the last one is not padded. */
export function table(rows: readonly (readonly string[])[], widths = widthsOf(rows)): string[] {
  return rows.map((row) =>
    row
      .map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0)))
      .join(gap)
      .trimEnd(),
  );
}

export function widthsOf(rows: readonly (readonly string[])[]): number[] {
  const columns = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: columns }, (_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
}

/** `[#######   ]  70 %`; a share beyond 0 to 1 is shown as the nearest that can be. */
export function bar(share: number, width: number): string {
  const shown = Math.min(1, Math.max(0, share));
  const full = Math.round(shown * width);
  return `[${'#'.repeat(full)}${' '.repeat(width - full)}] ${String(Math.round(shown * 100)).padStart(3)} %`;
}

/** One line that is written over while something is waited for; on a pipe each new text is a line of its own. */
export function statusLine(stream: NodeJS.WriteStream = process.stderr): { show(text: string): void; clear(): void } {
  let shown = '';
  return {
    show(text) {
      if (text === shown) return;
      shown = text;
      const width = (stream.columns ?? 80) - 1;
      stream.write(stream.isTTY ? `\r\u001b[K${colour('dim', text.slice(0, width), stream)}` : `${text}\n`);
    },
    clear() {
      if (shown !== '' && stream.isTTY) stream.write('\r\u001b[K');
      shown = '';
    },
  };
}
