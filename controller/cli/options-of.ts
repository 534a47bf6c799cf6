import type { Command } from './command.ts';

/** The options that a help text names, as `-w` and `--watch`: what is told and what is completed are one list. */
export function optionsOf({ help }: Command): string[] {
  const found = help.matchAll(/^ {2}(?:(-\w), )?(--[a-z][a-z-]*)|^ {2}(-\w) /gm);
  return [...found].flatMap(([, short, long, lonely]) => [short, long, lonely].filter((word) => word !== undefined));
}
