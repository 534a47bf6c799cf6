import { z } from 'zod';
import { ClassName } from './identity.ts';

const durationUnitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const smallestBytes = 6 * 1024 ** 2;
const sizeUnits = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** `30m`, `10s`, `8h` → milliseconds. A longer one than can be counted, or waited for, is refused. */
function duration(longest: `${number}${'h' | 'd'}`) {
  const longestMs = msOf(longest);
  return z
    .string()
    .regex(/^\d+(ms|s|m|h|d)$/, {
      error: 'a duration is a whole number with a unit: 500ms, 10s, 30m, 8h, 2d',
      abort: true,
    })
    .refine((text) => msOf(text) <= longestMs, { error: `is ${longest} at most` })
    .transform(msOf);
}

function msOf(text: string): number {
  return Number.parseInt(text, 10) * durationUnitsMs[unitOf(text, durationUnitsMs)];
}

/** `4GiB`, `512MiB` → bytes. An engine takes 0 for no limit at all, and refuses less than 6 MiB. */
export const size = z
  .string()
  .regex(/^\d+(KiB|MiB|GiB)$/, { error: 'a size is a whole number with a unit: 512MiB, 4GiB', abort: true })
  .refine((text) => bytesOf(text) >= smallestBytes && bytesOf(text) <= Number.MAX_SAFE_INTEGER, {
    error: 'is 6MiB at least, and no more than can be counted',
  })
  .transform(bytesOf);

function bytesOf(text: string): number {
  return Number.parseInt(text, 10) * sizeUnits[unitOf(text, sizeUnits)];
}

function unitOf<Units extends Record<string, number>>(text: string, units: Units): keyof Units {
  const unit = text.replace(/^\d+/, '');
  if (unit in units) return unit;
  throw new Error(`unit ${unit} passed the pattern but has no factor`);
}

const absolutePath = z.string().regex(/^\/[^\0]*$/, { error: 'an absolute path inside the box' });
const command = z.array(z.string()).min(1);
const regex = z.string().max(200).refine(isRegex, { error: 'is a regular expression' });

function isRegex(text: string): boolean {
  try {
    return new RegExp(text).source !== '';
  } catch {
    return false;
  }
}

/**
 * A class: the recipe for boxes, one YAML file each under `manifests/classes/`.
 * The file's form is the input of this schema; the parsed form has ms and bytes.
 */
export const BoxClass = z
  .strictObject({
    name: ClassName.describe('what leases and `desired` call this class; the file has the same name'),
    description: z.string().default(''),
    image: z.string().min(1).describe('image reference, with a tag or a digest'),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
    user: z
      .strictObject({
        uid: z.int().min(0).max(65_535),
        gid: z.int().min(0).max(65_535),
        home: absolutePath.describe('where the home is mounted; the only thing that survives a reap'),
      })
      .describe('whom everything in the box runs as'),
    shell: command.describe('what a terminal starts'),
    command: command.describe('PID 1 of the box, under an init'),
    environment: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string()).default({}),
    limits: z.strictObject({
      memory: size.describe('memory cap; there is no swap on top of it'),
      cpus: z.number().min(0.01).max(1024),
      pids: z.int().min(16).max(4_194_304),
    }),
    security: z.strictObject({
      capabilities: z.array(z.string().regex(/^[A-Z_]+$/)).describe('all others are dropped'),
      noNewPrivileges: z.boolean().default(true),
    }),
    idle: z.strictObject({
      detached: duration('365d').describe('how long a box lives after the last holder left'),
      attached: duration('365d').describe('how long a box lives under an attached terminal in which nothing happens'),
      giveWay: duration('365d')
        .prefault('1m')
        .describe('how long after its last holder left a box is safe from making room for others who wait for one'),
    }),
    home: z
      .strictObject({ quota: size.optional().describe('a home that takes up more is warned of; nothing is stopped') })
      .default({})
      .describe('what a home may take up'),
    stopGrace: duration('24h').describe('how long the programs in a box may take to end after the hang-up'),
    terminal: z
      .strictObject({
        persist: z
          .enum(['none', 'tmux'])
          .default('none')
          .describe('tmux: shells go on when their gateway dies, where the image has tmux'),
        record: z
          .enum(['off', 'output', 'input'])
          .default('off')
          .describe('asciicast files of what terminals show; `input` also of what is typed'),
      })
      .default({ persist: 'none', record: 'off' })
      .describe('how terminals behave'),
    readiness: z
      .strictObject({
        command: command.describe('exits 0 in a box that can be used'),
        timeout: duration('1h'),
      })
      .describe('run once in a new box before anybody is let in'),
    tools: z
      .array(
        z.strictObject({
          name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,39}$/, { error: 'is the name of a program' }),
          command: command.describe('exits 0 where the tool is there: codex --version'),
          version: regex
            .optional()
            .describe('finds the version in what it prints: the first group, or all that matches'),
        }),
      )
      .max(50)
      .default([])
      .describe('what the image promises; proved once for each image, in the first box of it that is ready'),
  })
  .describe('A Spoonbox box class');
export type BoxClass = z.infer<typeof BoxClass>;

export type BoxClasses = ReadonlyMap<string, BoxClass>;
