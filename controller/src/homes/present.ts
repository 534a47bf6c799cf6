import type { Homes } from '../api/homes.ts';
import type { HomeStore } from '../store/home-store.ts';

/**
 * What is known of the homes that are there. One that an operator took away is remembered and takes up nothing: without this, a
 * warning of it would never end. Where the directory of the homes cannot be read, all count.
 */
export function presentHomes(store: Pick<HomeStore, 'all'>, homes: Homes): Pick<HomeStore, 'all'> {
  return {
    async all() {
      const [known, names] = await Promise.all([store.all(), homes.names().catch(() => null)]);
      if (names === null) return known;
      const present = new Set(names);
      return known.filter(({ user }) => present.has(user));
    },
  };
}
