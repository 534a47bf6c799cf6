import { parseArgs } from 'node:util';
import { z } from 'zod';

export const usage =
  'npm run chaos -- [--minutes 3] [--seed 1] [--users 20] [--only PART-OF-A-KIND] [--report FILE] [--verbose]';

const Options = z.object({
  minutes: z.coerce.number().positive().max(1_440).default(3),
  seed: z.coerce.number().int().min(0).default(1),
  users: z.coerce.number().int().min(1).max(100).default(20),
  /** the report as JSON goes there too */
  report: z.string().optional(),
  /** only the kinds of fault that have this in their name */
  only: z.string().optional(),
  verbose: z.boolean().default(false),
});
export type Options = z.infer<typeof Options>;

/** Throws where the command line cannot be understood. */
export function readOptions(args: readonly string[]): Options {
  const text = { type: 'string' } as const;
  const options = {
    minutes: text,
    seed: text,
    users: text,
    report: text,
    only: text,
    verbose: { type: 'boolean' },
  } as const;
  const { values } = parseArgs({ args: [...args], options, strict: true });
  return Options.parse(values);
}
