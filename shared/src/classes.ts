import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isMap, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { BoxClass, type BoxClasses } from './box-class.ts';
import type { IdlePolicies } from './box-store.ts';
import { exitConfig, StartError } from './faults.ts';

export const defaultClassName = 'default';
/** A class is a page of text; a parser of YAML takes minutes for some megabytes of brackets. */
const maxClassChars = 65_536;

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
    const result = parseClass(textOf(path), path);
    if ('problems' in result) problems.push(...result.problems);
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
  if (text.length > maxClassChars)
    return { problems: [`${path}:1: class: is longer than ${maxClassChars} characters`] };
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    return {
      problems: document.errors.map((error) => `${path}:${error.linePos?.[0].line ?? 1}: ${firstLine(error.message)}`),
    };
  }
  const lineOf = (field: readonly PropertyKey[]): number => lines.linePos(offsetOf(document.contents, field)).line;
  let value: unknown;
  try {
    value = document.toJS();
  } catch (error) {
    // An alias that leads nowhere, or to far too much, is found only here.
    return { problems: [`${path}:1: class: ${error instanceof Error ? firstLine(error.message) : String(error)}`] };
  }
  const parsed = BoxClass.safeParse(value);
  if (!parsed.success) {
    return {
      problems: parsed.error.issues.flatMap(fieldsOf).map(({ field, message }) => {
        return `${path}:${lineOf(field)}: ${field.join('.') || 'class'}: ${message}`;
      }),
    };
  }
  const { name } = parsed.data;
  if (`${name}.yaml` === basename(path)) return { class: parsed.data };
  return { problems: [`${path}:${lineOf(['name'])}: name: is ${name}, so the file must be ${name}.yaml`] };
}

/** A field that is not known is named itself, not only the part that it stands in. */
function fieldsOf(issue: z.core.$ZodIssue): { field: PropertyKey[]; message: string }[] {
  if (issue.code !== 'unrecognized_keys') return [{ field: issue.path, message: issue.message }];
  return issue.keys.map((key) => ({ field: [...issue.path, key], message: 'is no field of a class' }));
}

function classFiles(folder: string): string[] {
  try {
    return readdirSync(folder).filter((file) => file.endsWith('.yaml'));
  } catch (error) {
    throw new StartError(`SPOON_CLASSES: ${folder} cannot be read`, exitConfig, { cause: error });
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new StartError(`SPOON_CLASSES: ${path} cannot be read`, exitConfig, { cause: error });
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

export function idlePoliciesOf(classes: BoxClasses): IdlePolicies {
  const policies: Record<string, readonly [number, number, number]> = {};
  for (const [name, { idle }] of classes) policies[name] = [idle.detached, idle.attached, idle.giveWay];
  const fallback = policies[defaultClassName];
  return fallback === undefined ? policies : { ...policies, '*': fallback };
}
