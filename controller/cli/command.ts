import {
  ApiRefusal,
  CommandLost,
  InvalidName,
  LeaseLost,
  NoSettings,
  NotReady,
  SpoonboxError,
  Unreachable,
} from '../sdk/errors.ts';

/** Exit codes of the CLI; the BSD ones of sysexits.h where they fit. `attach`, `exec` and `run` also exit with the shell's or command's own. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 69,
  notYet: 75,
  tokenRefused: 77,
  interrupted: 130,
  terminalLost: 255,
} as const;

export const exitCodesHelp = `Exit codes
  0    done
  1    refused, or failed
  2    wrong usage
  69   the server cannot be reached
  75   not yet: the state store does not answer, or the box was not ready in time
  77   the token is refused, or its role does not allow this
  130  interrupted
  attach, exec, run: the exit code of the shell or command, or 255 when it ended otherwise; one of the above when it was
       not begun`;

/** What a command ends with that threw this; null for a defect. */
export function exitCodeOf(error: unknown): number | null {
  if (error instanceof CliError) return error.exitCode;
  if (error instanceof Unreachable) return exitCodes.unreachable;
  if (error instanceof InvalidName || error instanceof NoSettings) return exitCodes.usage;
  if (error instanceof CommandLost || error instanceof LeaseLost) return exitCodes.terminalLost;
  if (error instanceof NotReady) return exitCodes.notYet;
  if (!(error instanceof SpoonboxError)) return null;
  if (!(error instanceof ApiRefusal)) return exitCodes.failed;
  const { status, code } = error.problem;
  if (status === 401 || code === 'role-too-low') return exitCodes.tokenRefused;
  return code === 'redis-unavailable' || code === 'shutting-down' ? exitCodes.notYet : exitCodes.failed;
}

/** One line for people: what, why, what to do. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number = exitCodes.failed) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

export function usageError(message: string, command: string): CliError {
  return new CliError(`${message}; see \`spoonbox ${command} --help\``, exitCodes.usage);
}

export interface Command {
  /** as typed: `get`, `describe` */
  readonly name: string;
  readonly summary: string;
  readonly help: string;
  /** What of the arguments is its own, where some are another program's; else all before the first `--`. */
  ownPart?(args: readonly string[]): readonly string[];
  /** Answers with the exit code. */
  run(args: readonly string[], signal: AbortSignal): Promise<number>;
}

/** Every command has these. */
export const commonOptions = {
  server: { type: 'string' },
  token: { type: 'string' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Runs `parseArgs`; every wrong use is one line with the way to the help. */
export function parsed<Result>(command: string, parse: () => Result): Result {
  try {
    return parse();
  } catch (error) {
    const [firstSentence] = (error instanceof Error ? error.message : String(error)).split('. ');
    throw usageError(firstSentence ?? 'wrong usage', command);
  }
}

/** The positionals, one for each name and no more. */
export function positionalsOf(command: string, given: readonly string[], ...names: string[]): string[] {
  if (given.length < names.length) throw usageError(`${names[given.length]} is missing`, command);
  if (given.length > names.length) throw usageError(`${given[names.length]} is one argument too many`, command);
  return [...given];
}

export function userOf(command: string, given: readonly string[]): string {
  const [user = ''] = positionalsOf(command, given, 'USER');
  return user;
}

const unitsMs: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `90s`, `5m`, `2h` → ms. */
export function durationMs(command: string, option: string, text: string): number {
  const [, count, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text) ?? [];
  const factor = unitsMs[unit ?? ''];
  if (count === undefined || factor === undefined) {
    throw usageError(`--${option} ${text} is no duration: write 30s, 5m, 2h or 1d`, command);
  }
  return Number(count) * factor;
}

/** What a timer of Node can wait at most; longer ones would end at once. */
const longestWaitMs = 2 ** 31 - 1;

/** The value of `--wait`, in ms. */
export function waitOf(command: string, text: string): number {
  const waitMs = durationMs(command, 'wait', text);
  if (waitMs <= longestWaitMs) return waitMs;
  throw usageError(`--wait ${text} is too long: 24d at most`, command);
}

/** One of a few words. */
export function oneOf<const Word extends string>(
  command: string,
  option: string,
  text: string,
  words: readonly Word[],
): Word {
  const word = words.find((known) => known === text);
  if (word === undefined) throw usageError(`--${option} ${text} is none of ${words.join(', ')}`, command);
  return word;
}
