import { readFile } from 'node:fs/promises';

/** What another process of this machine has used, as the kernel counts it. */

/** The kernel counts CPU in these, on every architecture that Node runs on. */
const ticksPerS = 100;
const pageBytes = 4_096;

/** User and system time of all its threads since its start. */
export async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The name of the program stands in brackets and may hold anything; what follows has fixed places.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerS;
}

export async function residentBytesOf(pid: number): Promise<number> {
  const [, resident] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
  return Number(resident) * pageBytes;
}
