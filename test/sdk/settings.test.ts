import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { findSettings } from '../../controller/sdk/settings.ts';

const environment = {
  SPOONBOX_SERVER: 'http://127.0.0.1:3922',
  SPOONBOX_TOKEN: 'of-the-environment',
  SPOONBOX_GATEWAY: 'ws://gateway:3921/',
};

test('the gateway of the environment is the one of its server', () => {
  expect(findSettings({}, environment, [])).toMatchObject({ gateway: 'ws://gateway:3921' });
});

test.each([
  ['an empty one is none', {}, { ...environment, SPOONBOX_GATEWAY: '' }],
  ['a server that is given hands out its own', { server: 'http://elsewhere:3922' }, environment],
])('%s', (_what, given, from) => {
  expect(findSettings(given, from, [])).toMatchObject({ gateway: null });
});

test('one that is no address is refused by its name', () => {
  const refused = () => findSettings({}, { ...environment, SPOONBOX_GATEWAY: 'gateway:3921' }, []);
  expect(refused).toThrow('the gateway gateway:3921 is no URL');
});

describe('a file that is found upward from the working directory', () => {
  const folder = mkdtempSync(join(tmpdir(), 'spoonbox-settings-'));
  const file = join(folder, '.spoonbox', 'client.json');
  mkdirSync(join(folder, '.spoonbox'));
  writeFileSync(
    file,
    JSON.stringify({ server: 'http://somebody:1', token: 'of-the-file', gateway: 'ws://somebody:2' }),
  );
  afterAll(() => rmSync(folder, { recursive: true }));

  test('names a server, with its own token and gateway', () => {
    const settings = { server: 'http://somebody:1', token: 'of-the-file', gateway: 'ws://somebody:2' };
    expect(findSettings({}, {}, [folder])).toEqual(settings);
    expect(findSettings({ server: 'http://somebody:1/' }, {}, [folder])).toEqual({ ...settings, gateway: null });
  });

  test.each([
    ['SPOONBOX_TOKEN', {}, { SPOONBOX_TOKEN: 'mine' }],
    ['--token', { token: 'mine' }, {}],
    ['--token', { token: 'mine' }, { SPOONBOX_TOKEN: 'mine' }],
  ])('is sent no token that was named beside it: %s, %j, %j', (what, given, from) => {
    expect(() => findSettings(given, from, [folder])).toThrow(
      `the token of ${what} is not sent to http://somebody:1, which only ${file} names`,
    );
  });

  test('is not asked where both are named', () => {
    expect(findSettings({ server: 'http://mine:1' }, { SPOONBOX_TOKEN: 'mine' }, [folder])).toEqual({
      ...{ server: 'http://mine:1', token: 'mine', gateway: null },
    });
  });

  test.runIf(process.geteuid?.() === 0)('is not used where it is another user’s', () => {
    chownSync(file, 4242, 4242);
    expect(() => findSettings({}, {}, [folder])).toThrow(/client\.json belongs to another user \(uid 4242\)/);
    expect(findSettings({}, { SUDO_UID: '4242' }, [folder])).toMatchObject({ token: 'of-the-file' });
  });
});
