import { expect, test } from 'vitest';
import { createVaultKeys, keyIdOf, sealFrame, VaultSealError, vaultKeysOf } from '#shared/vault-seal.ts';

const secret = 'a secret of this test, long enough';
const keys = createVaultKeys({ current: secret, previous: [] });
const plain = Buffer.from('export EDITOR=vim\n');
const here = 'alice\nf:.bashrc';

function problemOf(opening: () => unknown): VaultSealError {
  try {
    opening();
  } catch (error) {
    if (error instanceof VaultSealError) return error;
    throw error;
  }
  throw new Error('it was opened');
}

test('what is sealed opens where it belongs, byte for byte, and is not readable as it is kept', () => {
  for (const value of [plain, Buffer.alloc(0), Buffer.from([0, 255, 10, 0]), Buffer.alloc(300_000, 7)]) {
    const sealed = keys.seal(value, here);
    expect(keys.open(sealed, here).equals(value)).toBe(true);
    const kept = Buffer.from(sealed.slice(sealFrame.characters), 'base64url');
    expect(kept.length - sealFrame.bytes).toBe(value.length);
  }
  expect(keys.seal(plain, here)).not.toContain(plain.toString('base64url'));
});

test('the same value is never sealed to the same text', () => {
  const texts = new Set(Array.from({ length: 100 }, () => keys.seal(plain, here)));
  expect(texts.size).toBe(100);
});

test('a key made of the same secret opens it in another process, and its id names it', () => {
  const other = createVaultKeys({ current: secret, previous: [] });
  expect(other.keyId).toBe(keys.keyId);
  expect(keyIdOf(keys.seal(plain, here))).toBe(keys.keyId);
  expect(other.open(keys.seal(plain, here), here)).toEqual(plain);
  // As it is: another derivation would lose every vault that there is.
  expect(keys.keyId).toBe('80c8497e');
});

test('a text that was moved to another user or name is refused', () => {
  for (const elsewhere of ['bob\nf:.bashrc', 'alice\nf:.profile', 'alice\ne:.bashrc', '']) {
    expect(problemOf(() => keys.open(keys.seal(plain, here), elsewhere)).problem).toBe('changed');
  }
});

test('a text of which any character was changed, or that was cut or grew, is refused', () => {
  const sealed = keys.seal(plain, here);
  const prefix = `v1.${keys.keyId}.`;
  for (let at = prefix.length; at < sealed.length; at += 1) {
    const other = sealed[at] === 'A' ? 'B' : 'A';
    const changed = sealed.slice(0, at) + other + sealed.slice(at + 1);
    expect(problemOf(() => keys.open(changed, here)).problem).toBe('changed');
    expect(problemOf(() => keys.open(sealed.slice(0, at), here)).problem).toBe('changed');
  }
  for (const text of [`${sealed}A`, `${sealed}=`, '', 'v1', prefix, `v2${sealed.slice(2)}`, plain.toString()]) {
    expect(problemOf(() => keys.open(text, here)).problem).toBe('changed');
  }
});

test('another key is named by its id, and no message shows a value or a secret', () => {
  const sealed = keys.seal(plain, here);
  const others = createVaultKeys({ current: 'quite another secret', previous: ['and one more'] });
  const missing = problemOf(() => others.open(sealed, here));
  expect(missing).toMatchObject({ problem: 'key-missing', keyId: keys.keyId });
  expect(missing.message).toContain(keys.keyId);
  // Under a wrong id, it is the key that tells.
  const posed = sealed.replace(keys.keyId, others.keyId);
  const changed = problemOf(() => others.open(posed, here));
  expect(changed.problem).toBe('changed');
  for (const { message, stack } of [missing, changed]) {
    expect(`${message}${stack}`).not.toMatch(/EDITOR|another secret|one more/);
  }
});

test('a previous key opens and never seals', () => {
  const rotated = createVaultKeys({ current: 'the new secret', previous: [secret] });
  expect(rotated.open(keys.seal(plain, here), here)).toEqual(plain);
  expect(rotated.keyIds).toEqual([rotated.keyId, keys.keyId]);
  expect(problemOf(() => keys.open(rotated.seal(plain, here), here)).keyId).toBe(rotated.keyId);
});

test('a configuration without an encryption key has no keys', () => {
  expect(vaultKeysOf({ encryptionKey: null, previousEncryptionKeys: [secret] })).toBeNull();
  expect(vaultKeysOf({ encryptionKey: secret, previousEncryptionKeys: [] })?.keyId).toBe(keys.keyId);
});
