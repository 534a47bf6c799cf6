import { z } from 'zod';

/**
 * A checkout: the directory of one branch of one project in a user's home, `Code/{spoon}/{branch}`, which may begin as a clone.
 * The layout is Spoon's, so that homes of its deployments go on as they are; a branch `a/b` is a directory in a directory.
 */
const folder = 'Code';

/** What a file system takes as one name; the kernel's own bound. */
const maxNameBytes = 255;
const maxBranchBytes = 512;
/** Of a shallow clone where nothing else is said. */
export const defaultCloneDepth = 1;

const isWritten = (text: string): boolean => text.isWellFormed() && !/\p{Cc}/u.test(text);
const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** One name below `Code`. Not hidden: what begins with a dot there is the gateway's while it clones. */
export const SpoonName = z
  .string()
  .min(1)
  .refine((name) => bytesOf(name) <= maxNameBytes, { error: `has ${maxNameBytes} bytes at most` })
  .refine(isWritten, { error: 'must not contain control characters' })
  .refine((name) => !name.includes('/'), { error: 'must not contain "/"' })
  .refine((name) => !name.startsWith('.'), { error: 'must not begin with "."' });

/** Why git takes no reference of this name (git-check-ref-format(1)); null where it does, or what `GitRef` finds is all. */
function refusedRef(name: string): string | null {
  if (/[~^:?*[\\]/.test(name)) return 'must not contain any of ~ ^ : ? * [ \\';
  if (name.includes('..') || name.includes('@{')) return 'must not contain ".." or "@{"';
  if (name === '@' || name.endsWith('.')) return 'must not be "@", or end with "."';
  const parts = name.split('/');
  if (parts.includes('')) return 'must not begin or end with "/", or contain "//"';
  if (parts.some((part) => part.startsWith('.') || part.endsWith('.lock'))) {
    return 'must have no part that begins with "." or ends with ".lock"';
  }
  return parts.some((part) => bytesOf(part) > maxNameBytes) ? `has ${maxNameBytes} bytes at most in each part` : null;
}

const RefName = z
  .string()
  .min(1)
  .refine((name) => bytesOf(name) <= maxBranchBytes, { error: `has ${maxBranchBytes} bytes at most` })
  .refine(isWritten, { error: 'must not contain control characters' })
  .superRefine((name, context) => {
    const why = refusedRef(name);
    if (why !== null) context.addIssue({ code: 'custom', message: `${why}, as git has it` });
  });

/**
 * Names the directory. What git takes for a branch, and names with spaces or a leading dash besides: those can be a directory,
 * and cannot be cloned.
 */
export const BranchName = RefName;

/** What git has to find at the other end. */
export const GitRef = RefName.refine((name) => !/ /.test(name) && !/^-/.test(name) && name !== 'HEAD', {
  error: 'must not contain a space, begin with "-", or be "HEAD", as git has it',
});

/** Where git clones from: what the box itself may reach. No program (`ext::`), nothing of its own disk. */
const cloneProtocols = ['https', 'http', 'ssh', 'git'] as const;
/** As git's `GIT_ALLOW_PROTOCOL` has it: also what a server redirects to. */
export const allowedProtocols = cloneProtocols.join(':');

/** An address is in the list of processes and in `.git/config`: no secret is taken in it. */
export const CloneUrl = z
  .string()
  .min(1)
  .max(1_024)
  .regex(/^[\x21-\x7e]+$/, { error: 'is ASCII without spaces: write other characters as %XX' })
  .superRefine((text, context) => {
    const why = refusedUrl(text);
    if (why !== null) context.addIssue({ code: 'custom', message: why });
  });

function refusedUrl(text: string): string | null {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]*@[A-Za-z0-9][A-Za-z0-9.-]*:(?!\/\/)[^-]/.test(text)) return null; // git@host:path
  const url = /^[a-z+]+:\/\//.test(text) ? URL.parse(text) : null;
  if (url === null || !cloneProtocols.some((known) => url.protocol === `${known}:`) || url.hostname === '') {
    return `is an address of ${cloneProtocols.join(', ')}, or user@host:path`;
  }
  if (url.hostname.startsWith('-')) return 'must have a host that does not begin with "-"';
  if (url.password !== '') return 'must not contain a password: name a variable as `credential`';
  if (url.username !== '' && url.protocol !== 'ssh:') return 'must not contain a user: name a variable as `credential`';
  return null;
}

export const Clone = z
  .strictObject({
    url: CloneUrl,
    ref: GitRef.optional().describe('branch or tag that is cloned; the branch itself without it'),
    depth: z
      .int()
      .min(0)
      .max(1_000_000)
      .optional()
      .describe(`how many commits of history; 0 = all. Default: ${defaultCloneDepth}`),
    credential: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, { error: 'is the name of an environment variable' })
      .optional()
      .describe('name of the environment variable in the box that holds a token, or user:password'),
  })
  .refine(({ url, credential }) => credential === undefined || url.startsWith('https://'), {
    error: 'is sent over https only',
    path: ['credential'],
  });
export type Clone = z.infer<typeof Clone>;

export const Checkout = z
  .strictObject({
    spoon: SpoonName.describe('name of the project'),
    branch: BranchName.describe('the directory is Code/{spoon}/{branch} in the home'),
    clone: Clone.optional().describe('what the directory begins as; one that is a checkout already is left as it is'),
  })
  .refine(({ branch, clone }) => clone === undefined || GitRef.safeParse(clone.ref ?? branch).success, {
    error: 'cannot be cloned: git takes no space, leading "-", or "HEAD"; name a `ref`',
    path: ['branch'],
  });
export type Checkout = z.infer<typeof Checkout>;

/** Below the home; made of names that are each one directory. */
export function pathOf({ spoon, branch }: Pick<Checkout, 'spoon' | 'branch'>): string {
  return `${folder}/${spoon}/${branch}`;
}

/** Below the home: what is below a checkout, or else below the home. */
export function directoryIn(checkout: Checkout | null, directory: string | null): string | null {
  if (checkout === null) return directory;
  return directory === null ? pathOf(checkout) : `${pathOf(checkout)}/${directory}`;
}
