import { positionalsOf, usageError } from './command.ts';

/** Users of boxes, as people write them or as `get boxes -o name` tells them: `alice`, `box/alice`. At least one. */
export function usersNamed(command: string, given: readonly string[]): string[] {
  if (given.length === 0) throw usageError('USER is missing', command);
  return given.map((word) => {
    if (!word.includes('/')) return word;
    const [, user] = /^box\/([^/]+)$/.exec(word) ?? [];
    if (user === undefined) throw usageError(`${word} is no box: write alice or box/alice`, command);
    return user;
  });
}

/** Leases, as `alice build-17`, which is one, or as `get leases -o name` tells them: `lease/alice/build-17`. At least one. */
export function leasesNamed(command: string, given: readonly string[]): { user: string; id: string }[] {
  if (given[0]?.includes('/') !== true) {
    const [user = '', id = ''] = positionalsOf(command, given, 'USER', 'LEASE');
    return [{ user, id }];
  }
  return given.map((word) => {
    const [, user, id] = /^lease\/([^/]+)\/(.+)$/s.exec(word) ?? [];
    if (user === undefined || id === undefined) {
      throw usageError(`${word} is no lease: write lease/USER/LEASE`, command);
    }
    return { user, id };
  });
}

/** `box/alice`, `lease/alice/build-17` as `get -o name` tells them → the words that they stand for; others as they are. */
export function splitName(words: readonly string[]): readonly string[] {
  const [first = '', ...rest] = words;
  const [, kind, name, id] = /^([a-z]+)\/([^/]+)(?:\/(.+))?$/s.exec(first) ?? [];
  return kind === undefined || name === undefined ? words : [kind, name, ...(id === undefined ? [] : [id]), ...rest];
}

/** `the box of alice`, `the boxes of alice and bob`: for the question before what cannot be undone. */
export function boxesOfUsers(users: readonly string[]): string {
  const last = users.at(-1) ?? '';
  return users.length === 1 ? `the box of ${last}` : `the boxes of ${users.slice(0, -1).join(', ')} and ${last}`;
}
