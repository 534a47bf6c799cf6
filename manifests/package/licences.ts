import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The licences of the packages that these modules are of, as the packages themselves bring them. */
export async function thirdPartyLicences(modules: readonly string[]): Promise<string> {
  const packages = new Map<string, string>();
  for (const module of modules) {
    const [folder, name] = /^.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(module) ?? [];
    if (folder !== undefined && name !== undefined) packages.set(name, folder);
  }
  const parts: string[] = [];
  for (const [name, folder] of [...packages].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
    if (file === undefined) throw new Error(`${name} brings no licence: leave it out, or say here what it is`);
    parts.push(`${name}\n\n${(await readFile(join(folder, file), 'utf8')).trim()}\n`);
  }
  return parts.join(`\n${'-'.repeat(80)}\n\n`);
}
