const sizeUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `312 MiB`, `1.4 GiB`: three digits at the most. */
export function humanBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), sizeUnits.length - 1);
  const count = bytes / 1_024 ** power;
  return `${count < 10 && power > 0 ? count.toFixed(1) : Math.round(count)} ${sizeUnits[power]}`;
}
