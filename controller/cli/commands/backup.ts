import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { humanCount } from '#shared/human-count.ts';
import { writeBackup } from '../backup/write-backup.ts';
import { writeWhole } from '../backup/write-file.ts';
import { CliError, type Command, commonOptions, exitCodes, parsed, positionalsOf, usageError } from '../command.ts';
import { openClient } from '../open-client.ts';
import { hint, statusLine } from '../output.ts';

export const backup: Command = {
  name: 'backup',
  summary: 'writes what Redis knows and nothing else does: users, vaults, pins, tokens, modes',
  help: `Writes a backup, lines of JSON: the users with the class that is wanted for each and their pins, the vaults as they are encrypted,
hashes of the API's tokens, the reconciler's mode and the pause of rollouts; and for the record the classes, and where the homes
are. It holds no home, no encryption key, no terminal's or job's lease, no event. Boxes and terminals do not notice it.

The file becomes what it is to be only once it is whole, with mode 0600. Its last line is a digest of all before it.

Usage: spoonbox backup [--file FILE]

Options
  --file FILE   write there, over what is there; without it to standard output, which must be no terminal

Exits with 1 where something in Redis is damaged and could not be kept; the rest is in the file, and the damage is named in it.

Examples
  spoonbox backup --file "spoonbox-$(date +%F).jsonl"
  spoonbox backup | gzip > spoonbox.jsonl.gz            # gunzip it before a restore`,
  async run(args, signal) {
    const { values, positionals } = parsed('backup', () =>
      parseArgs({
        args: [...args],
        options: { ...commonOptions, file: { type: 'string' } },
        allowPositionals: true,
      }),
    );
    positionalsOf('backup', positionals);
    const { file } = values;
    if (file === undefined && process.stdout.isTTY === true) {
      throw usageError('a terminal is no place for a backup: name a --file, or redirect the output', 'backup');
    }
    const client = openClient(values);
    const line = statusLine();
    const toStdout = async (text: string): Promise<void> => {
      if (!process.stdout.write(text)) await once(process.stdout, 'drain', { signal });
    };
    const into = (write: (text: string) => Promise<void>) =>
      writeBackup(client, write, ({ done, of }) => line.show(`${done} of ${of} users`), signal);
    const written = await (file === undefined ? into(toStdout) : writeWhole(file, into).catch(notWritten(file)));
    line.clear();
    const keys = written.keyIds.length === 0 ? 'no vault' : `vaults under the keys ${written.keyIds.join(', ')}`;
    hint(`${humanCount(written.users, 'user')}, ${keys}; the homes and the encryption key are not in it`);
    if (written.damaged === 0) return exitCodes.ok;
    const damaged = humanCount(written.damaged, 'damaged record');
    hint(
      `${damaged} could not be kept, and what is told of it is in the file: a dry run of \`spoonbox restore\` tells it`,
    );
    return exitCodes.failed;
  },
};

/** What the file system refuses, in a sentence. */
function notWritten(file: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    throw new CliError(`${file} was not written: ${error.message}`);
  };
}
