export interface SparklineFrame {
  readonly width: number;
  readonly height: number;
  /** the top is this, or the largest value where that is more */
  readonly ceiling: number;
  /** how many values the whole width holds; fewer begin at the right */
  readonly most: number;
}

/** SVG paths of the values, the newest at the right: the line, and what is below it. */
export function sparklinePath(values: readonly number[], frame: SparklineFrame): { line: string; area: string } {
  const shown = values.slice(-frame.most);
  if (shown.length < 2) return { line: '', area: '' };
  const top = Math.max(frame.ceiling, ...shown) || 1;
  const stepX = frame.width / (frame.most - 1);
  const startX = frame.width - (shown.length - 1) * stepX;
  const points = shown.map((value, index) => {
    const x = startX + index * stepX;
    const y = frame.height - 1 - (Math.max(0, value) / top) * (frame.height - 2);
    return `${round(x)} ${round(y)}`;
  });
  const line = `M${points.join('L')}`;
  return { line, area: `${line}V${frame.height}H${round(startX)}Z` };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
