import { existsSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { places } from './places.ts';
import { isAlive, markOf, ProcessMark } from './processes.ts';
import { codeOf, Refusal } from './refusal.ts';

const claimAttempts = 3;

/** What `npm start` started and `npm run down` is to stop. Nothing else is ever signalled. */
const RunRecord = z.object({
  controller: ProcessMark.optional(),
  gateway: ProcessMark.optional(),
  dockerd: ProcessMark.optional(),
  redis: z.object({ port: z.int(), process: ProcessMark.optional(), container: z.string().optional() }).optional(),
});
export type RunRecord = z.infer<typeof RunRecord>;

export function readRecord(): RunRecord {
  if (!existsSync(places.record)) return {};
  const parsed = RunRecord.safeParse(parseJson(readFileSync(places.record, 'utf8')));
  if (!parsed.success) {
    throw new Refusal(`${places.record} cannot be read: ${z.prettifyError(parsed.error)}; remove it, then try again`);
  }
  return parsed.data;
}

/** Changes the record at once and whole: a reader never sees half of it. */
export function updateRecord(change: { [Key in keyof RunRecord]?: RunRecord[Key] | undefined }): void {
  const merged = { ...readRecord(), ...change };
  writePrivately(places.record, `${JSON.stringify(merged, undefined, 2)}\n`);
}

export function writePrivately(path: string, text: string): void {
  const next = `${path}.${process.pid}`;
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, path);
}

/** The `npm start` that runs in this checkout now. */
export function runningStarter(): ProcessMark | undefined {
  if (!existsSync(places.claim)) return undefined;
  const parsed = ProcessMark.safeParse(parseJson(readFileSync(places.claim, 'utf8')));
  return parsed.success && isAlive(parsed.data) ? parsed.data : undefined;
}

/** Makes this process the one `npm start` of the checkout; the claim of a dead one is taken over. */
export function claimStart(): void {
  const mine = `${places.claim}.${process.pid}`;
  for (let attempt = 0; attempt < claimAttempts; attempt += 1) {
    try {
      // A link appears with its content or not at all, so nobody reads an empty claim.
      writeFileSync(mine, JSON.stringify(markOf(process.pid)), { mode: 0o600 });
      linkSync(mine, places.claim);
      return;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      const other = runningStarter();
      if (other !== undefined) {
        throw new Refusal(
          `already running here as pid ${other.pid}: press Ctrl-C there, or stop all with \`npm run down\``,
        );
      }
      rmSync(places.claim, { force: true });
    } finally {
      rmSync(mine, { force: true });
    }
  }
  throw new Refusal(`${places.claim} cannot be claimed: another npm start is starting; try again`);
}

export function releaseStart(): void {
  rmSync(places.claim, { force: true });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
