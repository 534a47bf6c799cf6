import type { Logger } from '#shared/log.ts';
import type { UserName } from '#shared/identity.ts';

/**
 * The variables of users' vaults. They go into the environment of every exec, which an engine keeps to itself: they are in no
 * answer of its `inspect`, and nobody here logs one.
 */

/** Read at every start, so that a change is in the next one. Rejects where a vault cannot be read, or not be opened. */
export type ReadEnvironment = (user: UserName) => Promise<Environment>;
export type Environment = Readonly<Record<string, string>>;

/** Linux gives a program 2 MiB for its arguments and its environment together, with the usual stack of 8 MiB. */
const maxBytes = 1024 * 1024;

/** Of a user who starts something now. One that cannot be had keeps nobody from starting: then there is none, and `tell` is told why. */
export async function environmentOf(
  deps: { readonly environment: ReadEnvironment; readonly log: Logger },
  user: UserName,
  tell: (message: string) => void,
): Promise<Environment> {
  try {
    const environment = await deps.environment(user);
    const bytes = bytesOf(environment);
    if (bytes <= maxBytes) return environment;
    tell(
      `the variables of your vault are ${bytes} bytes, of which a program can be given ${maxBytes}: started without them`,
    );
  } catch (error) {
    deps.log.warn({ user, error }, 'the variables of a vault cannot be read; starting without them');
    const why = error instanceof Error ? error.message : String(error);
    tell(`the variables of your vault cannot be read: ${why}; started without them`);
  }
  return {};
}

/** As an engine takes it. What a gateway says of its terminal is not a vault's to change; nor is where its tmux servers are found. */
export function environmentLines(vault: Environment, own: Environment): string[] {
  const given = Object.entries(vault).filter(([name]) => !(name in own) && name !== 'TMUX_TMPDIR');
  return [...given, ...Object.entries(own)].map(([name, value]) => `${name}=${value}`);
}

function bytesOf(environment: Environment): number {
  return Object.entries(environment).reduce((sum, [name, value]) => sum + Buffer.byteLength(`${name}=${value}`) + 1, 0);
}
