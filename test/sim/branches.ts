import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Session } from 'node:inspector/promises';
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAst } from 'vitest/node';
import { z } from 'zod';

/** Which branches of the product a run took: those of the source as it is written, each counted or not by V8. */

/** What of the product runs in the simulation; adapters to the real Docker, Redis, HTTP and the command line do not. */
const folders = ['controller/src', 'gateway/src', 'shared/src'];
/** Of these every branch that was not taken is named. */
const decisions = ['box', 'queue', 'reconcile', 'source'].map((folder) => `controller/src/${folder}/`);
const root = fileURLToPath(new URL('../../', import.meta.url));

const Coverage = z.array(
  z.object({
    url: z.string(),
    functions: z.array(
      z.object({
        isBlockCoverage: z.boolean(),
        ranges: z.array(z.object({ startOffset: z.number(), endOffset: z.number(), count: z.number() })),
      }),
    ),
  }),
);

/** Runs these seeds in a process of its own, which counts. */
export async function branchesTaken(recipes: readonly string[], minutes: number): Promise<FileBranches[]> {
  const worker = fork(new URL('branch-worker.ts', import.meta.url), [String(minutes), ...recipes], { execArgv: [] });
  const [files] = await Promise.race([
    once(worker, 'message'),
    once(worker, 'exit').then(([code]) =>
      Promise.reject(new Error(`the worker that counts branches ended with ${code}`)),
    ),
  ]);
  return z.array(FileBranches).parse(files);
}

const FileBranches = z.object({
  /** from the root of the project */
  file: z.string(),
  taken: z.number(),
  /** `line: what` of those that no run took */
  missed: z.array(z.string()),
});
export type FileBranches = z.infer<typeof FileBranches>;

/** Counts from now on. Must begin before the product is loaded: what is compiled already is not counted. */
export async function countBranches(): Promise<() => Promise<FileBranches[]>> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  return async () => {
    const { result } = await session.post('Profiler.takePreciseCoverage');
    session.disconnect();
    const files: FileBranches[] = [];
    for (const script of Coverage.parse(result)) {
      if (!script.url.startsWith('file://')) continue;
      const file = relative(root, fileURLToPath(script.url));
      if (!folders.some((folder) => file.startsWith(`${folder}/`))) continue;
      files.push(branchesOf(file, script.functions));
    }
    return files.toSorted((a, b) => (a.file < b.file ? -1 : 1));
  };
}

/** A line for each folder, and what the controller's own decisions have that no run took. */
export function branchLines(files: readonly FileBranches[]): string[] {
  const byFolder = Map.groupBy(files, ({ file }) => file.slice(0, file.lastIndexOf('/')));
  return [
    'branches of the product that were taken, in the files that the simulation runs:',
    ...[...byFolder].map(([folder, of]) => {
      const taken = of.reduce((sum, file) => sum + file.taken, 0);
      const all = of.reduce((sum, file) => sum + file.taken + file.missed.length, 0);
      return `${((100 * taken) / Math.max(1, all)).toFixed(1)} %\t${taken}/${all}\t${folder} (${of.length} files)`;
    }),
    ...files
      .filter(({ file }) => decisions.some((folder) => file.startsWith(folder)))
      .flatMap(({ file, missed }) => missed.map((what) => `not taken\t${file}:${what}`)),
  ];
}

type Functions = z.infer<typeof Coverage>[number]['functions'];

function branchesOf(file: string, functions: Functions): FileBranches {
  const source = stripTypeScriptTypes(readFileSync(`${root}${file}`, 'utf8'), { mode: 'strip' });
  // The innermost range around a place counts how often it ran.
  const ranges = functions.flatMap((each) => each.ranges);
  const countAt = (offset: number): number => {
    let best: { size: number; count: number } | null = null;
    for (const { startOffset, endOffset, count } of ranges) {
      if (offset < startOffset || offset >= endOffset) continue;
      const size = endOffset - startOffset;
      if (best === null || size <= best.size) best = { size, count };
    }
    return best?.count ?? 0;
  };
  let taken = 0;
  const missed: string[] = [];
  for (const { at, what } of branchesIn(parseAst(source))) {
    if (countAt(at) > 0) taken += 1;
    else missed.push(`${source.slice(0, at).split('\n').length}: ${what}`);
  }
  return { file, taken, missed };
}

interface Branch {
  readonly at: number;
  readonly what: string;
}

const Node = z.looseObject({ type: z.string(), start: z.number(), end: z.number() });

/** Where the ways part: both sides of an `if` or a `?:`, the right of `&&`, `||`, `??`, every case and every function. */
function* branchesIn(value: unknown): Generator<Branch> {
  if (Array.isArray(value)) {
    for (const each of value) yield* branchesIn(each);
    return;
  }
  const node = Node.safeParse(value).data;
  if (node === undefined) return;
  const side = function* (name: string, what: string): Generator<Branch> {
    const child = Node.safeParse(node[name]).data;
    if (child !== undefined) yield { at: child.start, what };
  };
  switch (node.type) {
    case 'IfStatement':
      yield* side('consequent', 'then');
      yield* side('alternate', 'else');
      break;
    case 'ConditionalExpression':
      yield* side('consequent', '?');
      yield* side('alternate', ':');
      break;
    case 'LogicalExpression':
      yield* side('right', String(node.operator));
      break;
    case 'SwitchCase':
      yield { at: firstOf(node.consequent) ?? node.start, what: 'case' };
      break;
    case 'CatchClause':
      yield* side('body', 'catch');
      break;
    case 'FunctionDeclaration':
    case 'FunctionExpression':
    case 'ArrowFunctionExpression':
      yield* side('body', 'function');
      break;
    default:
  }
  for (const key in node) if (key !== 'type') yield* branchesIn(node[key]);
}

function firstOf(statements: unknown): number | null {
  return Array.isArray(statements) ? (Node.safeParse(statements[0]).data?.start ?? null) : null;
}
