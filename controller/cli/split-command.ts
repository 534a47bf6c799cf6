import { usageError } from './command.ts';

/** Options of a command that takes another one after the user's name. */
export type OwnOptions = Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>;

/** What is ours ends with the user's name, or with `--` where options follow the name; the rest is the command, untouched. */
export function splitCommand(
  name: string,
  options: OwnOptions,
  args: readonly string[],
): { own: readonly string[]; command: readonly string[] } {
  const userAt = args.findIndex((arg, at) => !arg.startsWith('-') && !takesNext(options, args[at - 1]));
  const after = args.slice(userAt + 1);
  if (userAt < 0) return { own: args, command: [] };
  const end = after.indexOf('--');
  const hasOwn = end >= 0 && (end === 0 || after[0]?.startsWith('-') === true);
  const [own, command] = hasOwn
    ? [args.slice(0, userAt + 1 + end), after.slice(end + 1)]
    : [args.slice(0, userAt + 1), after];
  if (!hasOwn && after[0]?.startsWith('-')) {
    throw usageError(`${after[0]} after USER: end the options with --`, name);
  }
  return { own, command };
}

/** Whether this is an option whose value is the next argument. */
function takesNext(options: OwnOptions, arg: string | undefined): boolean {
  return Object.entries(options).some(([name, { type }]) => type === 'string' && arg === `--${name}`);
}

/** Whether standard input goes to the command: as the flags say, else unless it is a terminal. */
export function passesStdin(flags: { readonly stdin: boolean; readonly 'no-stdin': boolean }): boolean {
  return !flags['no-stdin'] && (flags.stdin || process.stdin.isTTY !== true);
}
