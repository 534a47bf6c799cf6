import { readdir } from 'node:fs/promises';

/** Where the homes are. Their content is nobody's business here. */
export interface Homes {
  /** as this process sees it */
  readonly path: string;
  /** Of all homes, sorted; rejects where the directory cannot be read. */
  names(): Promise<readonly string[]>;
}

export function homesAt(path: string): Homes {
  return {
    path,
    async names() {
      const entries = await readdir(path, { withFileTypes: true });
      return entries.flatMap((entry) => (entry.isDirectory() ? entry.name : [])).toSorted();
    },
  };
}
