import { usageError } from './command.ts';

/** Options of a command that takes another one after the user's name. */
export type OwnOptions = Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>;

/** What is ours ends with the user's name, or with `--` where options follow the name; the rest is the command, untouched. */
export function splitCommand(name: string, options: OwnOptions, args: readonly string[]): Split {
  const { own, command, unended } = split(options, args);
  if (unended !== null) throw usageError(`${unended} after USER: end the options with --`, name);
  return { own, command };
}

/** What of the arguments is not the command's: an option for help among them is ours. */
export function ownPartOf(options: OwnOptions, args: readonly string[]): readonly string[] {
  return split(options, args).own;
}

interface Split {
  readonly own: readonly string[];
  readonly command: readonly string[];
}

/** `unended`: the first option after the name, where no `--` says which one is the last. */
function split(options: OwnOptions, args: readonly string[]): Split & { readonly unended: string | null } {
  const userAt = args.findIndex((arg, at) => !arg.startsWith('-') && !takesNext(options, args[at - 1]));
  if (userAt < 0) return { own: args, command: [], unended: null };
  const after = args.slice(userAt + 1);
  const [first = ''] = after;
  const end = after.indexOf('--');
  if (!first.startsWith('-')) return { own: args.slice(0, userAt + 1), command: after, unended: null };
  if (end < 0) return { own: args, command: [], unended: first };
  return { own: args.slice(0, userAt + 1 + end), command: after.slice(end + 1), unended: null };
}

/** Whether this is an option whose value is the next argument. */
function takesNext(options: OwnOptions, arg: string | undefined): boolean {
  return Object.entries(options).some(([name, { type }]) => type === 'string' && arg === `--${name}`);
}

/** Whether standard input goes to the command: as the flags say, else unless it is a terminal. */
export function passesStdin(flags: { readonly stdin: boolean; readonly 'no-stdin': boolean }): boolean {
  return !flags['no-stdin'] && (flags.stdin || process.stdin.isTTY !== true);
}
