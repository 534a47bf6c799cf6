/** What one check found, for people and programs. `mend` says what to do; '' where nothing is to be done. */
export interface Finding {
  readonly check: string;
  readonly verdict: 'ok' | 'warning' | 'failure';
  readonly found: string;
  readonly mend: string;
}

export function ok(check: string, found: string): Finding {
  return { check, verdict: 'ok', found, mend: '' };
}

export function warning(check: string, found: string, mend: string): Finding {
  return { check, verdict: 'warning', found, mend };
}

export function failure(check: string, found: string, mend: string): Finding {
  return { check, verdict: 'failure', found, mend };
}
