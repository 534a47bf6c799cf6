import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { BoxClass } from './box-class.ts';
import type { Keys } from './identity.ts';
import { parseJson } from './json.ts';
import type { RedisPort } from './redis-port.ts';

/** A program that a class promises to whoever works in its boxes. */
export type Tool = BoxClass['tools'][number];

/** What was found of one tool that a class promises. */
export const ToolProof = z.object({
  name: z.string(),
  isThere: z.boolean(),
  /** as its class' `version` finds it in what it prints; '' = the class asks for none */
  version: z.string(),
  /** why it is not there; '' where it is */
  message: z.string(),
});
export type ToolProof = z.infer<typeof ToolProof>;

/** The proof of all tools of a class, made once for each image, in the first box of it that is ready. */
export const ToolReport = z.object({
  class: z.string(),
  imageId: z.string(),
  /** changes with the class' list of tools */
  wanted: z.string(),
  tools: z.array(ToolProof),
});
export type ToolReport = z.infer<typeof ToolReport>;

/** Which tools were found. Every method is one command, and rejects when Redis does not answer; what Redis loses is proved again. */
export interface ToolStore {
  read(): Promise<ToolReport[]>;
  /** False where the token does not lead. */
  report(token: string, report: ToolReport): Promise<boolean>;
}

export function createToolStore(redis: RedisPort, keys: Keys): ToolStore {
  return {
    async read() {
      const lines = await redis.hashValues(keys.tools);
      return lines.flatMap((line) => ToolReport.safeParse(parseJson(line)).data ?? []);
    },
    async report(token, report) {
      const args = [token, report.class, JSON.stringify(report)];
      return (await redis.run('report-tools', [keys.leader, keys.tools], args)) === 1;
    },
  };
}

/** The version as a class finds it in what its tool prints: '' where it asks for none, null where there is none. */
export function versionIn(version: Tool['version'], output: string): string | null {
  if (version === undefined) return '';
  const found = new RegExp(version, 'm').exec(output);
  return found === null ? null : (found[1] ?? found[0]);
}

/** Changes with the list of tools of a class. */
export function wantedOf(tools: BoxClass['tools']): string {
  return createHash('sha256').update(JSON.stringify(tools)).digest('hex').slice(0, 16);
}
