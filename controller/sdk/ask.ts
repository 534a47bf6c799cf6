import type { z } from 'zod';

/** One request; what is answered has the shape of `schema`. Throws as the methods of the client do. */
export type Ask = <Schema extends z.ZodType>(
  schema: Schema,
  method: string,
  path: string,
  body: unknown,
  signal: AbortSignal,
) => Promise<z.output<Schema>>;
