import { expect, test } from 'vitest';
import { BoxView } from '#shared/api-schemas.ts';
import { createBoxesWatched } from '../../controller/console/src/live/boxes.ts';

function box(user: string, id: string, phase = 'ready') {
  const view = BoxView.parse({
    ...{ user, now: 1, phase, step: null, message: '', ready: true, class: null, containerId: null, readyAt: null },
    ...{ until: null, why: [], progress: null, conditions: [], leases: [], endedLeases: [], sessions: [] },
    ...{ desired: null, lastReap: null },
  });
  return { type: 'box', id, box: view } as const;
}

test('a watch goes on from the last event that was heard', () => {
  const watched = createBoxesWatched();
  watched.began(null);
  watched.take(box('alice', '1-1'));
  watched.take({ type: 'synced', id: '1-1' });
  watched.take(box('alice', '1-2', 'reaping'));
  expect(watched.resumeFrom).toBe('1-2');
  watched.began('1-2');
  watched.take(box('bob', '1-3'));
  watched.take({ type: 'synced', id: '1-3' });
  expect([...watched.boxes().keys()]).toEqual(['alice', 'bob']);
});

test('a full state that broke off half-way is told again from its beginning, and forgets nobody meanwhile', () => {
  const watched = createBoxesWatched();
  watched.began(null);
  for (const user of ['alice', 'bob']) watched.take(box(user, '1-1'));
  expect(watched.resumeFrom).toBeNull();
  expect(watched.isSynced).toBe(false);
  watched.began(watched.resumeFrom);
  watched.take(box('bob', '1-2'));
  expect([...watched.boxes().keys()]).toEqual(['alice', 'bob']);
  watched.take({ type: 'synced', id: '1-2' });
  expect([...watched.boxes().keys()]).toEqual(['bob']);
});

test('where the server cannot go on from there it tells all, and who is not told of is gone', () => {
  const watched = createBoxesWatched();
  watched.began(null);
  for (const user of ['alice', 'bob']) watched.take(box(user, '1-1'));
  watched.take({ type: 'synced', id: '1-1' });
  watched.began(watched.resumeFrom);
  watched.take({ type: 'full', id: '2-0' });
  watched.take(box('bob', '2-1'));
  expect(watched.resumeFrom).toBe('1-1');
  watched.take({ type: 'synced', id: '2-1' });
  expect([...watched.boxes().keys()]).toEqual(['bob']);
  expect(watched.resumeFrom).toBe('2-1');
});

test('who is removed is gone', () => {
  const watched = createBoxesWatched();
  watched.began(null);
  watched.take(box('alice', '1-1'));
  watched.take({ type: 'synced', id: '1-1' });
  watched.take({ type: 'removed', id: '1-2', user: 'alice' });
  expect(watched.boxes().size).toBe(0);
});
