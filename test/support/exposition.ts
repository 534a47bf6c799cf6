export interface Family {
  readonly type: string;
  /** of its samples: name → the values that were seen */
  readonly labels: ReadonlyMap<string, ReadonlySet<string>>;
}

/** What a `/metrics` page has: each series by its name, `…_bucket`, `…_sum` and `…_count` of a histogram by themselves. */
export type Exposition = ReadonlyMap<string, Family>;

interface Reading {
  readonly type: string;
  readonly labels: Map<string, Set<string>>;
}

/** Reads pages in Prometheus' text format, of one process or of several; throws on a line that is none. */
export function readExposition(...pages: readonly string[]): Exposition {
  const series = new Map<string, Reading>();
  for (const page of pages) {
    const types = new Map<string, string>();
    for (const line of page.split('\n')) {
      const [, typed, type] = /^# TYPE (\S+) (\w+)$/.exec(line) ?? [];
      if (typed !== undefined && type !== undefined) types.set(typed, type);
      if (line === '' || line.startsWith('#')) continue;
      const [, name, , labels = ''] = /^([a-zA-Z_:][\w:]*)(\{(.*)\})? \S+$/.exec(line) ?? [];
      if (name === undefined) throw new Error(`no line of an exposition: ${line}`);
      const of = types.get(name) ?? types.get(name.replace(/_(bucket|sum|count)$/, ''));
      if (of === undefined) throw new Error(`${name} has no TYPE`);
      const reading = series.get(name) ?? { type: of, labels: new Map() };
      series.set(name, reading);
      for (const [, label = '', value = ''] of labels.matchAll(/([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g)) {
        reading.labels.set(label, (reading.labels.get(label) ?? new Set()).add(value));
      }
    }
  }
  return series;
}

/** The value of one sample; throws where the page has none like it. */
export function sampleOf(page: string, sample: string): number {
  const line = page.split('\n').find((some) => some.startsWith(`${sample} `));
  if (line === undefined) throw new Error(`there is no sample ${sample}`);
  return Number(line.slice(sample.length + 1));
}
