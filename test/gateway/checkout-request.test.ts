import { describe, expect, it } from 'vitest';
import { CloneProgress } from '../../gateway/src/checkout/progress.ts';
import { checkoutAsked } from '../../gateway/src/jobs/checkout.ts';
import { FakeClock } from '../support/fake-clock.ts';

const url = 'https://git.example.org/shop.git';
const asked = (query: Record<string, string>): unknown => checkoutAsked(new URLSearchParams(query));

describe('a request for a command', () => {
  it('names a checkout, a lease, both, or none', () => {
    expect(asked({ user: 'alice' })).toEqual({ checkout: null, lease: null });
    expect(asked({ lease: 'job-1' })).toEqual({ checkout: null, lease: 'job-1' });
    const checkout = { spoon: 'my shop', branch: 'fix/tax' };
    expect(asked({ ...checkout, lease: 'job-1' })).toEqual({ checkout, lease: 'job-1' });
    const more = { ref: 'v1', depth: '0', credential: 'TOKEN' };
    expect(asked({ ...checkout, clone: url, ...more })).toEqual({
      ...{ lease: null, checkout: { ...checkout, clone: { url, ...more, depth: 0 } } },
    });
  });

  it.each([
    [{ lease: 'a b' }, /^lease: an id is/],
    [{ spoon: 'shop' }, /both spoon and branch/],
    [{ branch: 'main' }, /both spoon and branch/],
    [{ clone: url }, /both spoon and branch/],
    [{ spoon: 'shop', branch: '../x' }, /^branch: must not contain "\.\."/],
    [{ spoon: 'a/b', branch: 'x' }, /^spoon: must not contain "\/"/],
    [{ spoon: 'shop', branch: 'x', ref: 'main' }, /are of a clone/],
    [{ spoon: 'shop', branch: 'x', clone: '/tmp/x' }, /^clone: is an address of https/],
    [{ spoon: 'shop', branch: 'x', clone: url, depth: '1e3' }, /^depth: /],
    [{ spoon: 'shop', branch: 'x', clone: url, depth: '' }, /^depth: /],
    [{ spoon: 'shop', branch: 'x', clone: 'http://h/x', credential: 'TOKEN' }, /^credential: is sent over https only/],
  ])('with %j is refused, and told why', (query, why) => {
    expect(asked(query)).toEqual({ code: 'parameter-refused', detail: expect.stringMatching(why) });
  });
});

describe('what git says while it clones', () => {
  it('is told a few times a second, without what a terminal would obey; its last words are kept', async () => {
    const clock = new FakeClock();
    const told: string[] = [];
    const progress = new CloneProgress(clock, (line) => told.push(line));
    progress.take(Buffer.from("Cloning into './.spoonbox-clone-1'...\nremote: \u001b]0;owned\u0007hello\u001b[2J\n"));
    for (let percent = 0; percent <= 100; percent += 1) {
      progress.take(Buffer.from(`Receiving objects: ${percent}% (${percent}/100)\r`));
      await clock.advance(10);
    }
    expect(told[0]).toBe('remote: ]0;owned hello [2J');
    expect(told.length).toBeGreaterThan(2);
    expect(told.length).toBeLessThan(7);
    progress.take(Buffer.from('fatal: Remote branch ünknown not'));
    progress.take(Buffer.from(' found\n'));
    progress.take(Buffer.from('x'.repeat(10_000)));
    expect(progress.lastWords()).toBe(
      `remote: ]0;owned hello [2J; fatal: Remote branch ünknown not found; ${'x'.repeat(300)}`,
    );
  });
});
