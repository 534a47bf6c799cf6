import { expect, test } from 'vitest';
import type { BoxStore } from '#shared/box-store.ts';
import { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { openStatusFeed } from '../../gateway/src/status-feed.ts';
import { fakePort } from '../support/fake-port.ts';

const log = createLogger({ name: 'test', level: 'silent' });
const [alice, bob] = [UserName.parse('alice'), UserName.parse('bob')];

test('a feed tells those who watch a user of what they have to act on, and all of a gap', async () => {
  let onUser: Parameters<BoxStore['subscribe']>[1] = () => {};
  let onGap = (): void => {};
  const store = fakePort<BoxStore>({
    async subscribe(_what, tellUser, tellGap) {
      [onUser, onGap] = [tellUser, tellGap];
      return async () => {};
    },
  });
  const heard: string[] = [];
  const feed = await openStatusFeed(store, log, () => heard.push('gap'));
  const unwatch = feed.watch(alice, () => heard.push('alice'));
  feed.watch(bob, () => heard.push('bob'));
  onUser(alice, 'now');
  onUser(bob, 'later');
  onGap();
  unwatch();
  onUser(alice, 'now');
  expect(heard).toEqual(['alice', 'alice', 'bob', 'gap']);
});
