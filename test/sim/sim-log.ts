import type { Logger } from '#shared/log.ts';

export type Level = 'debug' | 'info' | 'warn' | 'error';
export type Fields = Readonly<Record<string, unknown>>;

/** What a process of the simulation logs goes to the story. The product calls these four of a pino logger, and no more. */
export function createSimLog(told: (level: Level, fields: Fields, message: string) => void): Logger {
  const at =
    (level: Level) =>
    (first: Fields | string, message = ''): void => {
      if (typeof first === 'string') told(level, {}, first);
      else told(level, first, message);
    };
  const log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  return log as unknown as Logger;
}

/** A line as a sentence: who, about whom, what, why. Null = nothing to tell. */
export function sentenceOf(process: string, level: Level, fields: Fields, message: string): string | null {
  if (level === 'debug') return null;
  const user = typeof fields.user === 'string' ? fields.user : null;
  if (message === 'pass') {
    const step = typeof fields.step === 'string' ? `, ${fields.step}` : '';
    const does = fields.command === 'none' ? 'does nothing more' : `does "${String(fields.command)}"`;
    return `${process} about ${user}: "${String(fields.rule)}"; the box is now ${String(fields.phase)}${step}; it ${does}`;
  }
  return `${process}${user === null ? '' : ` about ${user}`}: ${message}${reasonOf(fields)}`;
}

function reasonOf({ cause, reason, error, fault, boxes }: Fields): string {
  const parts = [
    typeof boxes === 'number' ? `${boxes} boxes` : '',
    typeof cause === 'string' ? cause : '',
    typeof reason === 'string' ? reason : '',
    error instanceof Error ? error.message : '',
    typeof fault === 'object' && fault !== null && 'message' in fault ? String(fault.message) : '',
  ].filter((part) => part !== '');
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}
