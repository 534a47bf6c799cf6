/** Something that the person at the terminal can put right. The message is one line: what was refused, why, what to do. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
}

/** The first line of whatever was thrown. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error);
  return text.split('\n', 1)[0]?.trim() ?? '';
}

/** The system's error code (`ENOENT`, `EACCES` …), where the error carries one. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
