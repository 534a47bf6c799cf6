/** In pixels of the drawing. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

const cornerPx = 9;

/** An SVG path along these points, its corners rounded. */
export function smoothPath(points: readonly Point[]): string {
  const [first] = points;
  if (first === undefined) return '';
  const parts = [`M${textOf(first)}`];
  for (const [index, point] of points.entries()) {
    const [before, after] = [points[index - 1], points[index + 1]];
    if (before === undefined) continue;
    if (after === undefined) {
      parts.push(`L${textOf(point)}`);
      continue;
    }
    const into = towards(point, before, Math.min(cornerPx, distance(before, point) / 2));
    const out = towards(point, after, Math.min(cornerPx, distance(after, point) / 2));
    parts.push(`L${textOf(into)}Q${textOf(point)} ${textOf(out)}`);
  }
  return parts.join('');
}

/** Half-way along the points. */
export function middleOf(points: readonly Point[]): Point {
  let rest = lengthOf(points) / 2;
  for (const [index, point] of points.entries()) {
    const next = points[index + 1];
    if (next === undefined) return point;
    const length = distance(point, next);
    if (length >= rest && length > 0) return towards(point, next, rest);
    rest -= length;
  }
  return { x: 0, y: 0 };
}

function lengthOf(points: readonly Point[]): number {
  return points.reduce((sum, point, index) => sum + distance(points[index - 1] ?? point, point), 0);
}

function distance(a: Point, b: Point): number {
  return Math.hypot(b.x - a.x, b.y - a.y);
}

function towards(from: Point, to: Point, by: number): Point {
  const length = distance(from, to) || 1;
  return { x: from.x + ((to.x - from.x) * by) / length, y: from.y + ((to.y - from.y) * by) / length };
}

function textOf({ x, y }: Point): string {
  return `${Math.round(x * 10) / 10} ${Math.round(y * 10) / 10}`;
}
