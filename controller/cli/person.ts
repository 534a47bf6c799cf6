import { hostname, userInfo } from 'node:os';

/** Who holds what a person takes by hand and does not name: the account here. */
export function personHere(): string {
  return `${userInfo().username}@${hostname()}`;
}
