import fc from 'fast-check';
import { ClassName, InstallationId, keysOf, LeaseId, UserName, boxNameOf, userOfBoxName } from '#shared/identity.ts';
import { Directory, SessionId } from '#shared/terminal-claims.ts';
import { readConfig } from '#shared/config.ts';
import { StartError } from '#shared/faults.ts';
import { agreed, must, target } from '../target.ts';
import { hostileWord, junk, text } from '../values.ts';

/** What each name may consist of, told in another way than the pattern does. */
const names = [
  { schema: UserName, first: alnum, others: '._-', most: 39 },
  { schema: LeaseId, first: alnum, others: '._:-', most: 100 },
  { schema: ClassName, first: lower, others: '-', most: 39 },
  { schema: InstallationId, first: lower, others: '-', most: 32 },
  { schema: SessionId, first: alnum, others: '_-', most: 48 },
] as const;

const nearly = fc.string({
  unit: fc.constantFrom(...'aZ09._-:/\\{}* \n\0é'),
  maxLength: 110,
});
const installation = InstallationId.parse('fuzz');

export const words = target('names and ids', 150, fc.oneof(nearly, text, hostileWord, junk), () => ({
  check(word) {
    for (const { schema, first, others, most } of names) {
      const parsed = schema.safeParse(word);
      const fits =
        typeof word === 'string' &&
        word.length >= 1 &&
        word.length <= most &&
        first(word.charAt(0)) &&
        [...word].every((char) => first(char) || others.includes(char)) &&
        !(schema === UserName && word.includes('..'));
      must(parsed.success === fits, `a name is accepted exactly where it fits (${most}, "${others}")`);
      if (parsed.success) must(parsed.data === word, 'a name is never rewritten');
    }
    const user = UserName.safeParse(word).data;
    if (typeof word === 'string')
      must(userOfBoxName(`spoon-box-${word}`) === (user ?? null), 'a box name is of its user');
    if (user === undefined) return;
    must(userOfBoxName(boxNameOf(user)) === user, 'the user of a box name is found again');
    for (const key of Object.values(keysOf(installation).user(user))) {
      must(key.split(':').length === 5 && key.startsWith('{spoonbox:fuzz}:u:'), 'a key has exactly its parts');
    }
  },
}));

export const directories = target(
  'directories',
  50,
  fc.oneof(
    fc.string({ unit: fc.constantFrom(...'a./~\\\0\n\u007f é') }),
    text,
    fc.string({ minLength: 900, maxLength: 1_100 }),
  ),
  () => ({
    check(path) {
      if (!Directory.safeParse(path).success) return;
      const resolved = new URL(path.toWellFormed().split('/').map(encodeURIComponent).join('/'), 'file:///home/user/')
        .pathname;
      must(resolved.startsWith('/home/user/'), 'a directory is below the home');
      must(!path.includes('\0') && path.length <= 1_024, 'a directory is bounded and printable');
    },
  }),
);

const settings = [
  'SPOON_REDIS_URL',
  'SPOON_AGENT_WORKER_INTERNAL_TOKEN',
  'SPOON_AGENT_TERMINAL_SECRET',
  'SPOON_CONTROLLER_PORT',
  'SPOON_AGENT_BOX_IDLE_MS',
  'SPOON_PUBLIC_WS_URL',
  'SPOON_ALLOWED_ORIGINS',
  'SPOON_LEADER_TTL_MS',
  'SPOON_LOG_LEVEL',
  'SPOON_X',
];

export const environments = target(
  'the environment of a process',
  20,
  fc.dictionary(fc.constantFrom(...settings), fc.oneof(text, fc.integer().map(String)), { maxKeys: 8 }),
  () => ({
    check(environment) {
      const config = agreed(
        () => readConfig(environment),
        (error) => error instanceof StartError && error.exitCode === 78,
      );
      if (config !== null) must(Number.isInteger(config.controllerPort), 'a port is a whole number');
    },
  }),
);

function alnum(char: string): boolean {
  return lower(char) || (char >= 'A' && char <= 'Z' && char.length === 1);
}

function lower(char: string): boolean {
  return char.length === 1 && ((char >= 'a' && char <= 'z') || (char >= '0' && char <= '9'));
}
