/** The value below which the share `p` (0 to 1) of the samples lies: the nearest one that was really measured. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)];
  if (value === undefined) throw new Error('no samples: nothing was measured');
  return value;
}

export function median(samples: readonly number[]): number {
  return percentile(samples, 0.5);
}

export function largest(samples: readonly number[]): number {
  return percentile(samples, 1);
}

/** Below ten a second decimal says something; above, not even the first does. */
export function rounded(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
