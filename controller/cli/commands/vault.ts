import { parseArgs } from 'node:util';
import { type Command, commonOptions, parsed } from '../command.ts';
import { openClient } from '../open-client.ts';
import { env } from '../vault/environment.ts';
import { exportFrom } from '../vault/export.ts';
import { get, ls, rm, set } from '../vault/files.ts';
import { status, take } from '../vault/home-verbs.ts';
import { importInto } from '../vault/import.ts';
import { rotate } from '../vault/rotate.ts';
import { type Verb, vaultName, verbOf } from '../vault/verb.ts';

const verbs: Readonly<Record<string, Verb>> = {
  ...{ ls, get, set, rm, env, import: importInto, export: exportFrom, rotate },
  ...{ status, take },
};

export const vault: Command = {
  name: vaultName,
  summary: "a user's dotfiles and environment: look, change, import, rotate the key",
  help: `What a user has in every box: dotfiles, which are written into the home, and environment variables, which all that
is started in the box has. Both are kept encrypted. A list shows names and sizes; a value is shown to a token of
role admin, and by get, env get and export only.

Usage: spoonbox vault ls USER [-o table|json]
       spoonbox vault get USER PATH [-o raw|json]
       spoonbox vault set USER PATH [FILE] [--mode MODE]
       spoonbox vault rm USER PATH…
       spoonbox vault env ls|get|rm USER [NAME…]
       spoonbox vault env set USER NAME [--from-file FILE]
       spoonbox vault import USER SOURCE [--replace] [--dry-run] [-o text|json]
       spoonbox vault export USER
       spoonbox vault rotate [-o text|json]
       spoonbox vault status USER [-o table|json]
       spoonbox vault take USER PATH --from box|vault

PATH is taken from the home: .config/git/config. Without FILE, set and env set read standard input; a value is never an
argument, which the process list and the shell's history would show. Of a value, one line end at its end is left out.

An import puts many at once, in one step. What is refused of it (a link, a device, a path out of the home, what is too
large) is named, the rest goes on, and the exit code is 1. Nothing is removed without --replace.

Rotate encrypts everything under the current SPOON_ENCRYPTION_KEY. It can be interrupted and begun again; what no
configured key opens is named and stays as it is, and the exit code is 1.

Status shows how the vault stands in the home, as of when it was written there last: when the box started, or the vault
changed. A file that was edited in the box is left alone, and take takes either side. Status exits with 1 where files are
not in the home as the vault has them.

Sources of an import
  --git URL         a git repository, fetched by the git of this machine
  --archive FILE    a tar archive, plain or with gzip
  --spoon FILE      tables userDotfiles and userEnvironment of Spoon, as JSON; decrypted
  --json FILE       what export wrote

Options
  --ref REF         of --git: a branch, a tag or a commit (default: HEAD)
  --from DIR        of --git and --archive: only what is below DIR, which is left out of the paths
  --from SIDE       of take. box: the box's file becomes the vault's (one that is not there any more is removed from
                    the vault); vault: the vault's comes into the home, and what was there stays as PATH.spoonbox-saved
  --owner NAME      of --spoon: whose rows, where they are of several users
  --replace         remove what is not imported
  --dry-run         change nothing, and say what would be
  --mode MODE       of set: octal permission bits (default: those of FILE, else 0644)
  --from-file FILE  of env set: where the value is
  -o FORMAT         as above

Examples
  spoonbox vault set alice .bashrc ~/.bashrc
  echo 'alias ll="ls -l"' | spoonbox vault set alice .bash_aliases
  spoonbox vault env set alice GITHUB_TOKEN --from-file token.txt
  spoonbox vault import alice --git https://git.example/alice/dotfiles --dry-run
  spoonbox vault export alice | spoonbox vault import bob --json -
  spoonbox vault status alice
  spoonbox vault take alice .bashrc --from box
  spoonbox vault rotate`,
  async run(args, signal) {
    const { values, positionals } = parsed(vaultName, () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          mode: { type: 'string' },
          'from-file': { type: 'string' },
          git: { type: 'string' },
          ref: { type: 'string' },
          archive: { type: 'string' },
          spoon: { type: 'string' },
          owner: { type: 'string' },
          json: { type: 'string' },
          from: { type: 'string' },
          replace: { type: 'boolean', default: false },
          'dry-run': { type: 'boolean', default: false },
          output: { type: 'string', short: 'o' },
        },
        allowPositionals: true,
      }),
    );
    const [typed, ...words] = positionals;
    const verb = verbOf(verbs, typed);
    return await verb(openClient(values), words, values, signal);
  },
};
