import type { z } from 'zod';
import { Checkout } from '#shared/checkout.ts';
import { usageError } from './command.ts';

/** Options of every command that starts something in a box. */
export const checkoutOptions = {
  spoon: { type: 'string' },
  branch: { type: 'string' },
  clone: { type: 'string' },
  ref: { type: 'string' },
  depth: { type: 'string' },
  credential: { type: 'string' },
} as const;

export const checkoutHelp = `  --spoon NAME      with --branch: in Code/NAME/BRANCH in the home, which is made; --directory is then below that
  --branch BRANCH   a directory in a directory where it has a "/"
  --clone URL       what it begins as (https, http, ssh, git, user@host:path); what is a checkout already is left as it is
  --ref REF         branch or tag that is cloned (default: the branch)
  --depth N         commits of history, 0 for all (default 1)
  --credential VAR  variable in the box with a token, or user:password, for https; it is never shown`;

type Given = { readonly [Name in keyof typeof checkoutOptions]?: string | undefined };

/** The checkout that is named; undefined = none. Throws a usage error that names the option. */
export function checkoutIn(command: string, given: Given): Checkout | undefined {
  const { spoon, branch, clone, ref, depth, credential } = given;
  const named = [spoon, branch, clone, ref, depth, credential];
  if (named.every((value) => value === undefined)) return undefined;
  if (spoon === undefined || branch === undefined) {
    throw usageError('a checkout is named by both --spoon and --branch', command);
  }
  const more = [ref, depth, credential].some((value) => value !== undefined);
  if (clone === undefined && more) throw usageError('--ref, --depth and --credential are of a --clone', command);
  if (depth !== undefined && !/^\d{1,7}$/.test(depth)) throw usageError(`--depth ${depth} is no whole number`, command);
  const wish = { url: clone, ref, depth: depth === undefined ? undefined : Number(depth), credential };
  const parsed = Checkout.safeParse({ spoon, branch, ...(clone === undefined ? {} : { clone: wish }) });
  if (parsed.success) return parsed.data;
  throw usageError(messageOf(parsed.error), command);
}

function messageOf({ issues }: z.ZodError): string {
  const [issue] = issues;
  const name = issue?.path.at(-1) === 'url' ? 'clone' : String(issue?.path.at(-1) ?? 'spoon');
  return `--${name} ${issue?.message ?? 'is refused'}`;
}
