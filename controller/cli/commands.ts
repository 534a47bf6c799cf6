import { adopt } from './commands/adopt.ts';
import { apiToken } from './commands/api-token.ts';
import { attach } from './commands/attach.ts';
import { backup } from './commands/backup.ts';
import { capacity } from './commands/capacity.ts';
import { cleanup } from './commands/cleanup.ts';
import { completion } from './commands/completion.ts';
import { consoleLink } from './commands/console.ts';
import { cp } from './commands/cp.ts';
import { deleteBox } from './commands/delete.ts';
import { describe } from './commands/describe.ts';
import { doctor } from './commands/doctor.ts';
import { events } from './commands/events.ts';
import { exec } from './commands/exec.ts';
import { get } from './commands/get.ts';
import { lease } from './commands/lease.ts';
import { drain, resume } from './commands/mode.ts';
import { pin } from './commands/pin.ts';
import { plan } from './commands/plan.ts';
import { reap } from './commands/reap.ts';
import { recreate } from './commands/recreate.ts';
import { release } from './commands/release.ts';
import { replay } from './commands/replay.ts';
import { restore } from './commands/restore.ts';
import { rollout } from './commands/rollout.ts';
import { run } from './commands/run.ts';
import { status } from './commands/status.ts';
import { token } from './commands/token.ts';
import { top } from './commands/top.ts';
import { vault } from './commands/vault.ts';
import { version } from './commands/version.ts';
import { why } from './commands/why.ts';
import type { Command } from './command.ts';

/** All commands, in the groups in which they are told. */
export const commandGroups: readonly { readonly title: string; readonly commands: readonly Command[] }[] = [
  { title: 'Work in a box', commands: [attach, run, exec, cp, replay] },
  { title: 'Look', commands: [get, describe, why, events, top] },
  { title: 'Hold', commands: [lease, pin, release, token] },
  { title: "A user's own", commands: [vault] },
  { title: 'Operate', commands: [reap, recreate, deleteBox, adopt] },
  {
    title: 'The installation',
    commands: [status, capacity, plan, rollout, drain, resume, doctor, cleanup, backup, restore, apiToken, consoleLink],
  },
  { title: 'This command', commands: [completion, version] },
];

export const commands: readonly Command[] = commandGroups.flatMap((group) => group.commands);

/** The name that was probably meant; null where none is near. */
export function nearestCommand(typed: string): string | null {
  const [nearest] = commands
    .map(({ name }) => ({ name, distance: editDistance(typed, name) }))
    .filter(({ distance }) => distance <= 2)
    .toSorted((a, b) => a.distance - b.distance);
  return nearest?.name ?? null;
}

/** Levenshtein's: letters to add, leave out or change. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (const [j, other] of [...b].entries()) {
      const changed = (row[j] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
