/** The file's text with one breakage in it. Refuses a text that is not there exactly once: it would break something else. */
export function brokenText(original: string, change: { file: string; text: string; replacement: string }): string {
  const parts = original.split(change.text);
  if (parts.length !== 2) {
    const times = parts.length - 1;
    throw new Error(`${change.file} has this text ${times} times, not once: ${change.text}`);
  }
  return parts.join(change.replacement);
}
