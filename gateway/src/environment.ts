import type { Logger } from '#shared/log.ts';
import type { UserName } from '#shared/identity.ts';
import { unreadableWords } from '#shared/vault-field.ts';
import type { VaultEnvironment } from '#shared/vault-store.ts';

/**
 * The variables of users' vaults. They go into the environment of every exec, which an engine keeps to itself: they are in no
 * answer of its `inspect`, and nobody here logs one.
 */

/** Read at every start, so that a change is in the next one. Rejects where a vault cannot be read. */
export type ReadEnvironment = (user: UserName) => Promise<VaultEnvironment>;
export type Environment = Readonly<Record<string, string>>;

/** Linux gives a program 2 MiB for its arguments and its environment together, with the usual stack of 8 MiB. */
const maxBytes = 1024 * 1024;

/** Of a user who starts something now. What cannot be had keeps nobody from starting: it is left out, and `tell` is told what and why. */
export async function environmentOf(
  deps: { readonly environment: ReadEnvironment; readonly log: Logger },
  user: UserName,
  tell: (message: string) => void,
): Promise<Environment> {
  try {
    const { variables, unreadable } = await deps.environment(user);
    if (unreadable.length > 0) {
      const why = unreadableWords(unreadable);
      deps.log.warn({ user, why }, 'variables of a vault cannot be opened; starting without these');
      tell(`${why}; started without ${unreadable.length === 1 ? 'it' : 'these'}`);
    }
    const bytes = bytesOf(variables);
    if (bytes <= maxBytes) return variables;
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
