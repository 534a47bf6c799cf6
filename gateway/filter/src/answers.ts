import { z } from 'zod';
import { EngineSilent } from './refused.ts';

/**
 * What of the engine's answers goes back: only what a gateway reads. No environment, no mounts, no command line of anybody's:
 * zod leaves out what is not named here.
 */

export const VersionAnswer = z.object({ ApiVersion: z.string(), MinAPIVersion: z.string().optional() });

export const InspectAnswer = z.object({ Id: z.string(), State: z.object({ Running: z.boolean() }) });

export const TopAnswer = z.object({
  Titles: z.array(z.string()).nullable(),
  Processes: z.array(z.array(z.string())).nullable(),
});

export const ExecCreateAnswer = z.object({ Id: z.string().regex(/^[0-9a-f]{64}$/) });

export const ExecInspectAnswer = z.object({
  ID: z.string(),
  ContainerID: z.string(),
  Running: z.boolean(),
  ExitCode: z.number().nullable().optional(),
  Pid: z.number().optional(),
});

/** Throws EngineSilent where it is not what such an answer has to be. */
export function readAnswer<Answer>(schema: z.ZodType<Answer>, text: string): Answer {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new EngineSilent('the engine did not answer in JSON', { cause: error });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  throw new EngineSilent(`the engine's answer is not as agreed: ${z.prettifyError(parsed.error)}`);
}
