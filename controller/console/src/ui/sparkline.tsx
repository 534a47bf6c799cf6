import { sparklinePath } from './sparkline-path.ts';

const widthPx = 72;
const heightPx = 20;

/** A line of the last minutes with the value of now as text; screen readers get the text. */
export function Sparkline({
  values,
  ceiling,
  most,
  text,
  title,
  label,
}: {
  readonly values: readonly number[];
  /** what the top stands for at least: a level below which all is calm */
  readonly ceiling: number;
  /** how many values the whole width holds */
  readonly most: number;
  readonly text: string;
  /** the limit */
  readonly title: string;
  readonly label: string;
}) {
  const { line, area } = sparklinePath(values, { width: widthPx, height: heightPx, ceiling, most });
  return (
    <span className="sparkline" title={title}>
      <span className="visually-hidden">{label}: </span>
      <svg width={widthPx} height={heightPx} aria-hidden="true">
        <path d={area} className="sparkline-area" />
        <path d={line} className="sparkline-line" />
      </svg>
      <span className="number">{text}</span>
    </span>
  );
}
