import { expect, test } from 'vitest';
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
