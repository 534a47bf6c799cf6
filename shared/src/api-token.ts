import { hash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import type { TokenId } from './operator-schemas.ts';
import type { z } from 'zod';

/**
 * What a token of the API looks like: `sbx_<id>_<secret>`. The id finds its record; it is no secret, and logs may show it.
 * Of the whole only the SHA-256 is kept: 256 random bits need no salt and no slow hash.
 */
const form = /^sbx_([a-z0-9]{12})_[A-Za-z0-9_-]{43}$/;
const idLetters = 'abcdefghijklmnopqrstuvwxyz0123456789';
const idLength = 12;
const secretBytes = 32;

export function newApiToken(): { id: z.infer<typeof TokenId>; token: string } {
  const id = Array.from({ length: idLength }, () => idLetters[randomInt(idLetters.length)]).join('');
  return { id, token: `sbx_${id}_${newSecret()}` };
}

/** null: it is no token of the API, whatever else it may be. */
export function idOfApiToken(text: string): string | null {
  return form.exec(text)?.[1] ?? null;
}

/** 43 characters of base64url. */
export function newSecret(): string {
  return randomBytes(secretBytes).toString('base64url');
}

/** SHA-256, in hexadecimal. */
export function hashOf(secret: string): string {
  return hash('sha256', secret, 'hex');
}

/** In the same time whatever the difference; hashes have one length, which tells nothing about what they are of. */
export function isSameHash(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}
