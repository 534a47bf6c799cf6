import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { BoxClass, type BoxClasses } from '#shared/box-class.ts';
import { exitConfig, StartError } from '#shared/faults.ts';

export const defaultClassName = 'default';

/** What the environment replaces in the class files. */
export interface ClassOverrides {
  /** replaces the default class's image */
  readonly boxImage: string | null;
  /** replaces `idle.detached` of every class, ms */
  readonly boxIdleMs: number | null;
}

/** Reads every `*.yaml` of a folder; throws one StartError that names file, line and field of every problem. */
export function loadClasses(folder: string, overrides: ClassOverrides): BoxClasses {
  const classes = new Map<string, BoxClass>();
  const problems: string[] = [];
  for (const file of classFiles(folder)) {
    const path = join(folder, file);
    const result = parseClass(readFileSync(path, 'utf8'), path);
    if ('problems' in result) problems.push(...result.problems);
    else if (`${result.class.name}.yaml` !== file)
      problems.push(`${path}: name: is ${result.class.name}, so the file must be ${result.class.name}.yaml`);
    else classes.set(result.class.name, replaced(result.class, overrides));
  }
  if (problems.length === 0 && !classes.has(defaultClassName)) {
    problems.push(`${folder}: has no ${defaultClassName}.yaml; boxes need a class of that name`);
  }
  if (problems.length > 0)
    throw new StartError(`The classes are refused:\n${problems.map((line) => `  ${line}`).join('\n')}`, exitConfig);
  return classes;
}

/** One class file, or what is wrong with it: `file:line: field: why`. */
export function parseClass(text: string, path: string): { class: BoxClass } | { problems: string[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    return {
      problems: document.errors.map((error) => `${path}:${error.linePos?.[0].line ?? 1}: ${firstLine(error.message)}`),
    };
  }
  const parsed = BoxClass.safeParse(document.toJS());
  if (parsed.success) return { class: parsed.data };
  return {
    problems: parsed.error.issues.map((issue) => {
      const line = lines.linePos(offsetOf(document.contents, issue.path)).line;
      return `${path}:${line}: ${issue.path.join('.') || 'class'}: ${issue.message}`;
    }),
  };
}

function classFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  } catch (error) {
    throw new StartError(`SPOON_CLASSES: ${folder} cannot be read`, exitConfig, { cause: error });
  }
}

function replaced(boxClass: BoxClass, overrides: ClassOverrides): BoxClass {
  const image = boxClass.name === defaultClassName ? (overrides.boxImage ?? boxClass.image) : boxClass.image;
  const detached = overrides.boxIdleMs ?? boxClass.idle.detached;
  return { ...boxClass, image, idle: { ...boxClass.idle, detached } };
}

/** Where the deepest part of `path` that exists stands in the file: a missing field is reported at its parent. */
function offsetOf(root: Node | null, path: readonly PropertyKey[]): number {
  let node: unknown = root;
  let offset = root?.range?.[0] ?? 0;
  for (const part of path) {
    if (!isMap(node)) break;
    const pair = node.items.find((item) => isScalar(item.key) && item.key.value === part);
    if (!pair) break;
    if (isScalar(pair.key)) offset = pair.key.range?.[0] ?? offset;
    node = pair.value;
  }
  return offset;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
