import { z } from 'zod';
import type { BoxClass } from '#shared/box-class.ts';

/** A program that a class promises to whoever works in its boxes. */
export const Tool = z.object({
  name: z.string(),
  /** run in a new container of the image, as the class's user: exits 0 */
  command: z.array(z.string()).min(1),
  /** a regular expression that finds the version in what it prints: the first group, or all that matches */
  version: z.string().optional(),
});
export type Tool = z.infer<typeof Tool>;

const Promising = z.object({ tools: z.array(Tool) });

/** None, where a class promises none. */
export function toolsOf(boxClass: BoxClass): readonly Tool[] {
  return Promising.safeParse(boxClass).data?.tools ?? [];
}
