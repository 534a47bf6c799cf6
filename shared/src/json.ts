/** What was not written by this process may be no JSON at all: null, which no schema of ours takes. For browsers too. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
