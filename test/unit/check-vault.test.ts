import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { systemClock } from '#shared/clock.ts';
import { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { createVaultKeys, type VaultKeys } from '#shared/vault-seal.ts';
import { checkVault } from '../../controller/src/check-vault.ts';
import { Health } from '../../controller/src/health.ts';

const seal = createVaultKeys({ current: 'the secret of this test', previous: ['the one before'] });
const [current = '', previous = ''] = seal.keyIds;
const foreign = 'abcdef01';

/** What is told at the start of a controller, of users whose entries are sealed under these keys. */
async function told(sealedUnder: Record<string, Record<string, number>>, keys: VaultKeys | null, failures = 0) {
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString());
      done();
    },
  });
  const log = createLogger({ name: 'check', level: 'warn', destination });
  const health = new Health();
  health.redis(null);
  health.engine(null);
  let left = failures;
  const users = async () => {
    if (left-- > 0) throw new Error('Redis does not answer');
    return Object.keys(sealedUnder).map((name) => UserName.parse(name));
  };
  const vault = {
    sealedUnder: async (user: UserName) => new Map(Object.entries(sealedUnder[user] ?? {})),
    keyId: keys?.keyId ?? null,
    keyIds: keys?.keyIds ?? [],
  };
  const clock = { ...systemClock, after: (_ms: number, call: () => void) => systemClock.after(0, call) };
  const onProblem = (problem: string): void => health.vault(problem);
  await checkVault({ store: { users }, vault, clock, log, onProblem }, new AbortController().signal);
  return { log: lines.join(''), ready: health.ready() };
}

test('a controller whose keys open every vault says nothing', async () => {
  const { log, ready } = await told({ alice: { [current]: 3, [previous]: 1 }, bob: {} }, seal, 2);
  expect([log, ready]).toEqual(['', { ok: true, reasons: [], warnings: [] }]);
});

test('one that misses a key is ready all the same, warns, and names the key in the log alone', async () => {
  const { log, ready } = await told(
    { alice: { [current]: 3, [foreign]: 2 }, bob: { '': 1 }, carl: { [previous]: 1 } },
    seal,
  );
  expect(ready).toMatchObject({
    ok: true,
    reasons: [],
    warnings: [expect.stringContaining('3 entries in the vaults of 2 users')],
  });
  expect(log).toContain(foreign);
  expect(log).toContain('damaged');
  expect(JSON.stringify(ready)).not.toContain(foreign);
});

test('one without a key warns where there is a vault, and says which variable is missing', async () => {
  expect((await told({ bob: {} }, null)).ready.warnings).toEqual([]);
  expect((await told({ alice: { [current]: 1 } }, null)).ready.warnings).toEqual([
    expect.stringContaining('set SPOON_ENCRYPTION_KEY'),
  ]);
});
