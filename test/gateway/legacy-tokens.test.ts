import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyLegacyToken } from '#shared/legacy-token.ts';
import { spoonNames } from '#shared/spoon-names.ts';
import { signTerminalToken } from '#shared/terminal-token.ts';
import type { UserName } from '#shared/identity.ts';
import type { Gateway } from '../../gateway/src/gateway.ts';
import { createFakeExec } from './fake-exec.ts';
import { createGatewayWorld, type GatewayWorld, secret } from './gateway-world.ts';
import { open, refusal } from './test-client.ts';

let world: GatewayWorld;
let ours: Gateway;
let legacy: Gateway;
beforeAll(async () => {
  world = await createGatewayWorld(createFakeExec());
  ours = await world.gateway();
  legacy = await world.gateway({ legacyTokens: true });
});
afterAll(async () => await world?.close());

const nowS = (): number => Math.floor(Date.now() / 1_000);

function spoonToken(claims: Record<string, unknown>, by = secret): Promise<string> {
  const all = { iat: nowS(), exp: nowS() + 60, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(by));
}

/** Another text with the same signature: of its last character two bits say nothing. */
function rewritten(token: string): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return token.slice(0, -1) + letters[letters.indexOf(token.at(-1) ?? '') ^ 1];
}

async function readyUser(): Promise<UserName> {
  const user = world.newUser();
  await world.commit(user, { phase: 'ready', containerId: 'c1' });
  return user;
}

describe('a token in the shape of Spoon’s own worker', () => {
  it('passes by each of its names for the user, with its directory, for a session of its own', async () => {
    for (const name of spoonNames.claims.user) {
      const verified = await verifyLegacyToken(secret, await spoonToken({ [name]: 'alice', cwd: 'Code/x/main' }));
      expect(verified).toMatchObject({ ok: true, claims: { user: 'alice', mode: 'rw', directory: 'Code/x/main' } });
    }
    const [one, other] = [await spoonToken({ sub: 'alice' }), await spoonToken({ sub: 'alice', n: 2 })];
    const sessions = [await verifyLegacyToken(secret, one), await verifyLegacyToken(secret, other)];
    expect(new Set(sessions.map((verified) => verified.ok && verified.claims.session)).size).toBe(2);
    expect(await verifyLegacyToken(secret, await spoonToken({ sub: 'alice', iss: 'spoon' }))).toMatchObject({
      ok: true,
    });
  });

  it.each([
    ['of another secret', { sub: 'alice' }, 'another-secret-of-the-tests', 'token-signature'],
    ['without a user', {}, secret, 'token-claims'],
    ['of a bad user', { sub: '../root' }, secret, 'token-claims'],
    ['with a directory outside the home', { sub: 'alice', cwd: '/etc' }, secret, 'token-claims'],
    ['of another issuer', { sub: 'alice', iss: 'somebody' }, secret, 'token-foreign'],
    ['of ours that is for something else', { user: 'alice', iss: 'spoonbox' }, secret, 'token-foreign'],
    ['for another audience', { sub: 'alice', aud: 'the-api' }, secret, 'token-foreign'],
    ['expired', { sub: 'alice', iat: 1_000, exp: 1_030 }, secret, 'token-expired'],
    ['valid for a day', { sub: 'alice', exp: Math.floor(Date.now() / 1_000) + 86_400 }, secret, 'token-claims'],
    ['valid for a day by its end alone', { sub: 'a', iat: undefined, exp: nowS() + 86_400 }, secret, 'token-claims'],
    ['signed in the future', { sub: 'alice', iat: nowS() + 600, exp: nowS() + 630 }, secret, 'token-claims'],
    ['without an end', { sub: 'alice', exp: undefined }, secret, 'token-claims'],
  ])('is refused when it is %s', async (_what, claims, by, code) => {
    expect(await verifyLegacyToken(secret, await spoonToken(claims, by))).toMatchObject({ ok: false, code });
  });

  it('opens a terminal at each of the old paths, once, however its signature is written', async () => {
    const user = await readyUser();
    for (const path of spoonNames.terminalPaths) {
      const token = await spoonToken({ username: user, path });
      const client = await open({ port: legacy.port, token, raw: true, path });
      client.socket.close(1000);
      await client.closed;
      for (const same of [token, rewritten(token)]) {
        const again = await refusal({ port: legacy.port, token: same, raw: true, path });
        expect(again).toEqual({ status: 401, code: 'token-used' });
      }
    }
  });

  it('is refused where nobody asked for it, and the log says once how to', async () => {
    const user = await readyUser();
    for (let n = 0; n < 2; n += 1) {
      const token = await spoonToken({ username: user, n });
      expect(await refusal({ port: ours.port, token, raw: true })).toMatchObject({ code: 'token-foreign' });
    }
    const told = world.logged.filter((line) => line.includes('SPOON_LEGACY_TOKENS=1'));
    expect(told).toHaveLength(1);
    expect(await refusal({ port: ours.port, token: await spoonToken({ sub: user }), path: '/ws' })).toMatchObject({
      code: 'route-unknown',
    });
  });
});

it('our own tokens are what they were beside them: a read-only one stays read-only, a wrong one is told what is wrong', async () => {
  const user = await readyUser();
  const { token } = await signTerminalToken(secret, { user, mode: 'ro' });
  const client = await open({ port: legacy.port, token });
  expect(await client.message('hello')).toMatchObject({ mode: 'ro' });
  client.socket.close(1000);
  const wrong = await new SignJWT({ user, mode: 'root', session: 's1', jti: 'jti-12345678' })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer('spoonbox')
    .setAudience('spoonbox-terminal')
    .setIssuedAt()
    .setExpirationTime('30s')
    .sign(new TextEncoder().encode(secret));
  expect(await refusal({ port: legacy.port, token: wrong })).toEqual({ status: 401, code: 'token-claims' });
});
