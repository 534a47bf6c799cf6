import { z } from 'zod';
import type { BoxClasses } from './box-class.ts';
import { ClassName, UserName } from './identity.ts';
import { parseJson } from './json.ts';

/** What a home takes up, as the last look from inside a box told. Times are Redis TIME in ms. */
export const HomeUsage = z.object({
  user: UserName,
  /** of the box that was looked from: its quota is what counts for lists of homes, which read nothing else of a user */
  class: ClassName,
  /** disk space that it takes up, not the sum of its files' lengths; null = it was never told */
  usedBytes: z.number().nullable(),
  /** false: a part of it could not be read by its own user, so it is at least so much */
  isWhole: z.boolean(),
  /** when `usedBytes` was told; null = never */
  measuredAt: z.number().nullable(),
  /** why the last look told nothing; '' = it did */
  problem: z.string(),
});
export type HomeUsage = z.infer<typeof HomeUsage>;

/** What is shown of a home. */
export const HomeView = HomeUsage.omit({ user: true, class: true }).extend({
  /** of the class; null = it has none */
  quotaBytes: z.number().nullable(),
});
export type HomeView = z.infer<typeof HomeView>;

const Stored = HomeUsage.extend({
  usedBytes: HomeUsage.shape.usedBytes.default(null),
  measuredAt: HomeUsage.shape.measuredAt.default(null),
});

/** As it is stored; null: nothing is, or it cannot be read, which is as good as lost. */
export function homeUsageOf(stored: string): HomeUsage | null {
  return Stored.safeParse(parseJson(stored)).data ?? null;
}

export function homeViewOf({ user: _, class: __, ...usage }: HomeUsage, quotaBytes: number | null): HomeView {
  return { ...usage, quotaBytes };
}

/** null: its class has none, or is not configured. */
export function quotaOf(className: string, classes: BoxClasses): number | null {
  return classes.get(className)?.home.quota ?? null;
}

export function isOverQuota({ usedBytes, quotaBytes }: Pick<HomeView, 'usedBytes' | 'quotaBytes'>): boolean {
  return usedBytes !== null && quotaBytes !== null && usedBytes > quotaBytes;
}
