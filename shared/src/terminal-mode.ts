import { z } from 'zod';

/** `ro`: what the client types is dropped. In a file of its own, because browsers need it and nothing else of the tokens. */
export const TerminalMode = z.enum(['rw', 'ro']);
export type TerminalMode = z.infer<typeof TerminalMode>;
