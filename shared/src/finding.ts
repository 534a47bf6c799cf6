import { z } from 'zod';

/** What one check of `spoonbox doctor` found, for people and programs. `mend` says what to do; '' where nothing is to be done. */
export const Finding = z.object({
  check: z.string(),
  verdict: z.enum(['ok', 'warning', 'failure']),
  found: z.string(),
  mend: z.string(),
});
export type Finding = z.infer<typeof Finding>;

/** What a controller finds where it runs: its Redis, its engine, its configuration. */
export const DoctorReport = z.object({
  /** of Spoonbox, as that controller has it */
  version: z.string(),
  /** origin of the console, as browsers send it */
  consoleOrigin: z.string(),
  items: z.array(Finding),
});
export type DoctorReport = z.infer<typeof DoctorReport>;

export function ok(check: string, found: string): Finding {
  return { check, verdict: 'ok', found, mend: '' };
}

export function warning(check: string, found: string, mend: string): Finding {
  return { check, verdict: 'warning', found, mend };
}

export function failure(check: string, found: string, mend: string): Finding {
  return { check, verdict: 'failure', found, mend };
}
