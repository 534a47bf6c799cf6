const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `312 MiB`, `1.4 GiB`. */
export function bytesText(bytes: number): string {
  const power = Math.min(units.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/** Of one processor: `0.02`, `1.5`, `12`. */
export function cpusText(cpus: number): string {
  return cpus < 10 ? cpus.toFixed(cpus < 1 ? 2 : 1) : String(Math.round(cpus));
}
