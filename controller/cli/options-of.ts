import { type Command, commonOptions } from './command.ts';

/** The options that a help text names, as `-w` and `--watch`: what is told and what is completed are one list. */
export function optionsOf({ help }: Command): string[] {
  const found = help.matchAll(/^ {2}(?:(-\w), )?(--[a-z][a-z-]*)|^ {2}(-\w) /gm);
  return [...found].flatMap(([, short, long, lonely]) => [short, long, lonely].filter((word) => word !== undefined));
}

/** Whether the word after this one is the option's. */
export function takesValue({ help }: Command, option: string): boolean {
  if (!option.startsWith('-')) return false;
  const common = Object.entries(commonOptions).some(([name, { type }]) => type === 'string' && option === `--${name}`);
  const told = help.matchAll(/^ {2}(?:(-\w), )?(--[a-z][a-z-]*) [A-Z]|^ {2}(-o) /gm);
  return common || option === '--output' || [...told].some((words) => words.slice(1).includes(option));
}
