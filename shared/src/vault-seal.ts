import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto';
import type { Config } from './config.ts';

/**
 * How what a vault holds is kept: AES-256-GCM (NIST SP 800-38D), a random 96-bit nonce a text, under a key that HKDF-SHA256
 * (RFC 5869) makes of the configured secret. A sealed text is `v1.<key id>.<base64url of nonce, ciphertext and tag>`.
 */
const cipherName = 'aes-256-gcm';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
const keyInfo = 'spoonbox vault v1';
/** A sealed text is so many characters and then base64 of so many bytes more than it holds. */
export const sealFrame = { characters: 'v1.00000000.'.length, bytes: nonceBytes + tagBytes } as const;
/** Of the derived key, so that an id tells nothing of a short secret that its key would not tell too. */
const keyIdLength = 8;
const form = /^v1\.([0-9a-f]{8})\.([A-Za-z0-9_-]+)$/;

export type VaultSealProblem =
  | 'no-key' // nothing is configured to seal or open with
  | 'key-missing' // sealed under a key that is not configured here
  | 'changed'; // it is not what was sealed for this place

/** Thrown where something cannot be sealed or opened. Never holds a value, nor a key. */
export class VaultSealError extends Error {
  override name = 'VaultSealError';
  readonly problem: VaultSealProblem;
  /** of the key that is missing, else null */
  readonly keyId: string | null;

  constructor(problem: VaultSealProblem, message: string, keyId: string | null = null) {
    super(message);
    this.problem = problem;
    this.keyId = keyId;
  }
}

export interface VaultKeys {
  /** of the key that seals: 8 hexadecimal digits, the same for the same secret everywhere */
  readonly keyId: string;
  /** of all keys that open, the one that seals first */
  readonly keyIds: readonly string[];
  /** `bound`: where the text belongs; it opens nowhere else. */
  seal(plain: Uint8Array, bound: string): string;
  /** Throws a `VaultSealError` where no key here opens it, or it is not what was sealed for this place. */
  open(sealed: string, bound: string): Buffer;
}

/** `previous`: secrets that were current once; they only open. */
export function createVaultKeys(secrets: { current: string; previous: readonly string[] }): VaultKeys {
  const current = derived(secrets.current);
  const keys = new Map([current, ...secrets.previous.map(derived)].map(({ id, key }) => [id, key]));
  return {
    keyId: current.id,
    keyIds: [...keys.keys()],
    seal(plain, bound) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(cipherName, current.key, nonce, { authTagLength: tagBytes });
      cipher.setAAD(Buffer.from(bound));
      const parts = [nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()];
      return `v1.${current.id}.${Buffer.concat(parts).toString('base64url')}`;
    },
    open(sealed, bound) {
      const [, id, text] = form.exec(sealed) ?? [];
      if (id === undefined || text === undefined) throw new VaultSealError('changed', changedText);
      const key = keys.get(id);
      if (key === undefined) throw new VaultSealError('key-missing', keyMissingText(id), id);
      const bytes = Buffer.from(text, 'base64url');
      // Node would take a tag of fewer bytes, and unused bits at the end of base64 are nobody's.
      if (bytes.length < nonceBytes + tagBytes || bytes.toString('base64url') !== text) {
        throw new VaultSealError('changed', changedText);
      }
      const decipher = createDecipheriv(cipherName, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
      decipher.setAAD(Buffer.from(bound));
      decipher.setAuthTag(bytes.subarray(-tagBytes));
      const plain = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
      try {
        return Buffer.concat([plain, decipher.final()]);
      } catch {
        throw new VaultSealError('changed', changedText);
      }
    },
  };
}

/** The keys of this configuration; null: there is none to seal with. */
export function vaultKeysOf(config: Pick<Config, 'encryptionKey' | 'previousEncryptionKeys'>): VaultKeys | null {
  if (config.encryptionKey === null) return null;
  return createVaultKeys({ current: config.encryptionKey, previous: config.previousEncryptionKeys });
}

/** Under which key it was sealed; null: it is no sealed text. */
export function keyIdOf(sealed: string): string | null {
  return form.exec(sealed)?.[1] ?? null;
}

/** Where there is no key at all. */
export function noVaultKey(): VaultSealError {
  return new VaultSealError(
    'no-key',
    'the vault has no encryption key: set SPOON_ENCRYPTION_KEY (or INSTANCE_SECRET) to a long random value, the same for controllers and gateways, and restart them',
  );
}

const changedText = 'it was changed or moved since it was sealed: put it again, or restore it from a backup';

function keyMissingText(id: string): string {
  return `it was sealed under the key ${id}, which is not configured: put that secret into SPOON_ENCRYPTION_KEY, or into SPOON_ENCRYPTION_KEY_PREVIOUS, and restart`;
}

function derived(secret: string): { id: string; key: Buffer } {
  const key = Buffer.from(hkdfSync('sha256', secret, '', keyInfo, keyBytes));
  return { id: hash('sha256', key, 'hex').slice(0, keyIdLength), key };
}
