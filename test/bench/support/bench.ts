import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { dockerodeAt } from '../../support/docker.ts';

const usage =
  'Usage: npm run bench NAME [--json FILE]   (and, after --: --rounds N, --boxes N, --sessions N, --seconds N for a shorter try; --only A,B for some parts)';

export interface Bench {
  /** `--rounds`, `--boxes`, `--sessions` or `--seconds`, or what the benchmark takes without */
  number(flag: 'rounds' | 'boxes' | 'sessions' | 'seconds', usual: number): number;
  /** those of `known` that `--only` names, else all */
  parts<Name extends string>(known: readonly Name[]): readonly Name[];
  say(text: string): void;
  /** One line on standard error, for whoever waits. */
  progress(text: string): void;
  /** Goes into the JSON file. */
  record(name: string, value: unknown): void;
}

/**
 * Runs one benchmark. Its exit code tells whether something could be measured, never whether it was fast. The first Ctrl-C
 * aborts `signal`; the benchmark then cleans up and ends.
 */
export async function runBench(name: string, run: (bench: Bench, signal: AbortSignal) => Promise<void>): Promise<void> {
  const options = readOptions();
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => ending.abort(new Error(`interrupted by ${signal}; cleaning up`)));
  }
  const raw: Record<string, unknown> = { benchmark: name, at: new Date().toISOString(), machine: await machineOf() };
  const bench: Bench = {
    number: (flag, usual) => options[flag] ?? usual,
    parts(known) {
      const unknown = options.only.filter((name) => !known.some((part) => part === name));
      if (unknown.length > 0) {
        process.stderr.write(`there is no part ${unknown.join(', ')}: choose from ${known.join(', ')}\n`);
        process.exit(2);
      }
      return options.only.length === 0 ? known : known.filter((name) => options.only.includes(name));
    },
    say: (text) => void process.stdout.write(`${text}\n`),
    progress: (text) => void process.stderr.write(`… ${text}\n`),
    record: (field, value) => {
      raw[field] = value;
    },
  };
  bench.say(
    `${name}: ${Object.entries(await machineOf())
      .map(([what, value]) => `${what} ${value}`)
      .join(', ')}\n`,
  );
  try {
    await run(bench, ending.signal);
    if (options.json !== undefined) await writeFile(options.json, `${JSON.stringify(raw, null, 2)}\n`);
  } catch (error) {
    process.stderr.write(`${name}: could not be measured: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  }
  process.exit(0);
}

interface Options {
  readonly json: string | undefined;
  readonly rounds: number | undefined;
  readonly boxes: number | undefined;
  readonly sessions: number | undefined;
  readonly seconds: number | undefined;
  readonly only: readonly string[];
}

function readOptions(): Options {
  try {
    const { values, positionals } = parseArgs({
      options: {
        json: { type: 'string' },
        rounds: { type: 'string' },
        boxes: { type: 'string' },
        sessions: { type: 'string' },
        seconds: { type: 'string' },
        only: { type: 'string' },
      },
      allowPositionals: true,
    });
    // Without `--` npm keeps a flag that it has itself (--json) and hands on the file's name alone.
    const json = values.json ?? (process.env.npm_config_json === 'true' ? positionals[0] : undefined);
    return {
      json: json === undefined ? undefined : resolve(process.env.INIT_CWD ?? '.', json),
      rounds: count(values.rounds),
      boxes: count(values.boxes),
      sessions: count(values.sessions),
      seconds: count(values.seconds),
      only: (values.only ?? '').split(',').filter(Boolean),
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}\n`);
    process.exit(2);
  }
}

function count(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new Error(`${text} is no number of rounds, boxes, sessions or seconds`);
  return Number(text);
}

async function machineOf(): Promise<Record<string, string | number>> {
  const docker = await dockerodeAt(process.env.DOCKER_HOST ?? null);
  const { Version } = await docker.version();
  return {
    cores: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    node: process.version,
    docker: Version,
    load: (loadavg()[0] ?? 0).toFixed(1),
  };
}
