import type { BoxView } from '#shared/api-schemas.ts';
import { ProblemError } from '#shared/problem.ts';

/** Whether a box is meant. */
export type Selects = (view: BoxView) => boolean;

/** What can be selected by, and what a box has there. */
const keys: Readonly<Record<string, (view: BoxView) => string>> = {
  user: (view) => view.user,
  class: (view) => view.class ?? '',
  phase: (view) => view.phase,
  step: (view) => view.step ?? '',
  /** some lease is live */
  held: (view) => String(view.leases.length > 0),
  ready: (view) => String(view.ready),
};

const maxTerms = 20;
const form = `write key=value or key!=value, with commas between; keys are ${Object.keys(keys).join(', ')}`;

/** `phase=ready,class!=small`, as kubectl's: all terms have to hold; a value may be empty. Throws the problem to answer with. */
export function selectorOf(text: string): Selects {
  if (text.trim() === '') return () => true;
  const terms = text.split(',');
  if (terms.length > maxTerms) throw refused(`it has ${terms.length} terms, and ${maxTerms} is the most`);
  const selects = terms.map(termOf);
  return (view) => selects.every((select) => select(view));
}

function termOf(term: string): Selects {
  const [, key = '', operator, wanted = ''] = /^\s*([^\s=!]+)\s*(==|!=|=)\s*([^\s=!]*)\s*$/.exec(term) ?? [];
  if (operator === undefined) throw refused(`${JSON.stringify(term)} is no term`);
  const read = Object.hasOwn(keys, key) ? keys[key] : undefined;
  if (!read) throw refused(`there is no key ${JSON.stringify(key)}`);
  return (view) => (read(view) === wanted) === (operator !== '!=');
}

function refused(why: string): ProblemError {
  return new ProblemError('selector-invalid', `the selector was refused because ${why}: ${form}`);
}
