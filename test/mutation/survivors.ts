import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** A mutant that no test notices. Known by its text and not by its place, so that edits elsewhere in the file do not matter. */
const Survivor = z.strictObject({
  file: z.string(),
  /** the line on which the mutated code begins */
  line: z.string(),
  original: z.string(),
  replacement: z.string(),
});
export type Survivor = z.infer<typeof Survivor>;

const Known = z.array(z.strictObject({ reason: z.string().min(20), mutants: z.array(Survivor) }));

/** The survivors that were looked at, with the reason why each may live. */
function knownSurvivors(): z.infer<typeof Known> {
  return Known.parse(JSON.parse(readFileSync(new URL('survivors.json', import.meta.url), 'utf8')));
}

/** The part of StrykerJS's report that is read here. */
export const Report = z.object({
  files: z.record(
    z.string(),
    z.object({
      source: z.string(),
      mutants: z.array(
        z.object({
          status: z.enum([
            'Killed',
            'Timeout',
            'Survived',
            'NoCoverage',
            'RuntimeError',
            'CompileError',
            'Ignored',
            'Pending',
          ]),
          replacement: z.string().default(''),
          location: z.object({
            start: z.object({ line: z.number(), column: z.number() }),
            end: z.object({ line: z.number(), column: z.number() }),
          }),
        }),
      ),
    }),
  ),
});
export type Report = z.infer<typeof Report>;

export function survivorsOf(report: Report): Survivor[] {
  return Object.entries(report.files).flatMap(([file, { source, mutants }]) => {
    const lines = source.split('\n');
    return mutants
      .filter(({ status }) => status === 'Survived' || status === 'NoCoverage')
      .map(({ replacement, location: { start, end } }) => {
        const last = lines[end.line - 1]?.slice(0, end.column - 1) ?? '';
        const text =
          start.line === end.line
            ? last.slice(start.column - 1)
            : [lines[start.line - 1]?.slice(start.column - 1), ...lines.slice(start.line, end.line - 1), last].join(
                '\n',
              );
        return {
          file,
          line: (lines[start.line - 1] ?? '').trim(),
          original: oneLine(text),
          replacement: oneLine(replacement),
        };
      });
  });
}

/** The survivors that are not known, and the known ones that survive no more. */
export function compared(found: readonly Survivor[]): { unknown: Survivor[]; gone: Survivor[] } {
  const left = knownSurvivors().flatMap(({ mutants }) => mutants);
  const unknown = found.filter((survivor) => {
    const at = left.findIndex((each) => keyOf(each) === keyOf(survivor));
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  return { unknown, gone: left };
}

function keyOf({ file, line, original, replacement }: Survivor): string {
  return JSON.stringify([file, line, original, replacement]);
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(0, 120);
}
