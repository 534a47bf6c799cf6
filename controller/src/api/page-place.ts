import { UserName } from '#shared/identity.ts';
import { ProblemError } from '#shared/problem.ts';

/** Where a list of users goes on. Opaque to clients, so that it can become something else. */
export function continueAfter(user: UserName): string {
  return Buffer.from(`after ${user}`).toString('base64url');
}

/** The user after whom it goes on. */
export function placeOf(from: string): UserName {
  const [, name] = /^after (.+)$/.exec(Buffer.from(from, 'base64url').toString('utf8')) ?? [];
  const user = UserName.safeParse(name);
  if (user.success) return user.data;
  throw new ProblemError(
    'continue-invalid',
    'the list was refused because `continue` is nothing that a page answered: leave it out to begin anew',
  );
}
