import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { TerminalClaims } from '#shared/terminal-claims.ts';
import { verifyTerminalToken } from '#shared/terminal-token.ts';
import { must, target } from '../target.ts';
import { junk, mutatedText, mutated, oddNumber, text } from '../values.ts';

const secret = 'a-secret-of-the-fuzzer-0123456789';
const codes = new Set(
  ['malformed', 'algorithm', 'signature', 'expired', 'foreign', 'claims'].map((word) => `token-${word}`),
);

interface Made {
  readonly header: unknown;
  readonly payload: unknown;
  readonly by: string;
  readonly hash: 'sha256' | 'sha384' | 'sha512' | 'none';
}

const goodHeader = { alg: 'HS256', typ: 'JWT' };
const nowS = (): number => Math.floor(Date.now() / 1_000);
const goodClaims = {
  user: 'alice',
  mode: 'rw',
  session: 's1',
  directory: 'Code/x',
  jti: 'jti-12345678',
  iss: 'spoonbox',
  aud: 'spoonbox-terminal',
  iat: 0,
  exp: 30,
};

const header = fc.oneof(
  { weight: 3, arbitrary: fc.constant<unknown>(goodHeader) },
  fc.constantFrom('HS384', 'HS512', 'none', 'RS256', 'hs256', '', 'HS256 ').map((alg) => ({ alg })),
  fc.constantFrom<unknown>(
    { alg: 'HS256', crit: ['b64'], b64: false },
    { alg: 'HS256', crit: ['x'], x: 1 },
    { alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } },
    { alg: 'HS256', kid: '../../etc/passwd' },
  ),
  mutated(goodHeader),
);
/** `iat` and `exp` are seconds from now here. */
const payload = fc.oneof(
  fc.constant<unknown>(goodClaims),
  mutated(goodClaims),
  fc.tuple(oddNumber, oddNumber).map(([iat, exp]) => ({ ...goodClaims, iat, exp })),
  junk,
);
const made: fc.Arbitrary<Made> = fc.record({
  header,
  payload,
  by: fc.oneof({ weight: 4, arbitrary: fc.constant(secret) }, text),
  hash: fc.constantFrom('sha256', 'sha256', 'sha256', 'sha384', 'sha512', 'none'),
});
const good: Made = { header: goodHeader, payload: goodClaims, by: secret, hash: 'sha256' };
const example = sign(good);

export const tokens = target(
  'terminal tokens',
  80,
  fc.oneof(made, mutatedText(example), text, fc.string({ minLength: 4_000, maxLength: 5_000 })),
  () => ({
    async check(input) {
      const token = typeof input === 'string' ? input : sign(input);
      const verified = await verifyTerminalToken(secret, token);
      if (verified.ok) {
        must(typeof input !== 'string' || signedHere(input), 'only what was signed with the secret passes');
        must(typeof input === 'string' || (input.by === secret && input.hash === 'sha256'), 'only HS256 passes');
        must(TerminalClaims.safeParse(verified.claims).success, 'what passes has all claims');
        const { iat, exp } = verified.claims;
        must(exp - iat <= 60 && exp > nowS() - 10, 'what passes is valid for a minute at most');
        return;
      }
      must(codes.has(verified.code), `a refusal has an agreed code, not ${verified.code}`);
      must(
        !verified.message.includes(secret) && verified.message.length < 2_000,
        'a refusal is short and tells no secret',
      );
    },
  }),
  [good, 'a.b.c', '..', `${example}.`, 'x'.repeat(5_000)],
);

function sign({ header: head, payload: body, by, hash }: Made): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(head)}.${part(timed(body))}`;
  if (hash === 'none') return `${signed}.`;
  return `${signed}.${createHmac(hash, by).update(signed).digest('base64url')}`;
}

function timed(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  const now = nowS();
  const moved = Object.entries(body).map(([name, value]) => {
    const isTime = (name === 'iat' || name === 'exp') && typeof value === 'number';
    return [name, isTime ? value + now : value];
  });
  return Object.fromEntries(moved);
}

function signedHere(token: string): boolean {
  const [head, body, signature] = token.split('.');
  const wanted = createHmac('sha256', secret).update(`${head}.${body}`).digest();
  return Buffer.from(signature ?? '', 'base64url').equals(wanted);
}
