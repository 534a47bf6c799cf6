import { describe, expect, it } from 'vitest';
import { Ring } from '../../gateway/src/ring.ts';
import { type BudgetedRing, halfOf, RingBudget } from '../../gateway/src/ring-budget.ts';

const KiB = 1024;

class FakeRing implements BudgetedRing {
  readonly #budget: RingBudget;
  holds = 0;
  constructor(budget: RingBudget) {
    this.#budget = budget;
  }
  asks(bytes: number): number {
    this.holds = this.#budget.grant(this, this.holds, bytes);
    return this.holds;
  }
  halve(): void {
    this.holds = halfOf(this.holds);
  }
  ends(): void {
    this.#budget.takeBack(this, this.holds);
    this.holds = 0;
  }
}

function rings(budget: RingBudget, count: number): FakeRing[] {
  return Array.from({ length: count }, () => new FakeRing(budget));
}

function held(all: readonly FakeRing[]): number[] {
  return all.map(({ holds }) => holds / KiB);
}

describe('the memory of all rings together', () => {
  it('is given as it is asked for while there is room', () => {
    const budget = new RingBudget(64 * KiB);
    const all = rings(budget, 2);
    for (const ring of all) expect(ring.asks(32 * KiB)).toBe(32 * KiB);
    expect(budget.usedBytes).toBe(64 * KiB);
  });

  it('is then taken from the largest, from who has held it longest first, and only by the smaller', () => {
    const budget = new RingBudget(64 * KiB);
    const [one, two, three] = rings(budget, 3);
    one?.asks(32 * KiB);
    two?.asks(32 * KiB);
    expect(three?.asks(32 * KiB)).toBe(16 * KiB);
    expect([one?.holds, two?.holds]).toEqual([16 * KiB, 32 * KiB]);
    expect(one?.asks(32 * KiB)).toBe(16 * KiB);
    expect(budget.usedBytes).toBe(64 * KiB);
  });

  it('is never more than there is, whoever asks for how much, and comes back when they end', () => {
    const budget = new RingBudget(1024 * KiB);
    const all = rings(budget, 100);
    for (let step = 0; step < 5_000; step += 1) {
      const ring = all[(step * 37) % all.length];
      if (!ring) throw new Error('no ring');
      if (step % 13 === 0) ring.ends();
      else if (ring.holds < 100_000) ring.asks(Math.min(100_000, Math.max(4 * KiB, ring.holds * 2)));
      const used = all.reduce((sum, { holds }) => sum + holds, 0);
      expect(budget.usedBytes).toBe(used);
      expect(used).toBeLessThanOrEqual(1024 * KiB);
    }
    for (const ring of all) ring.ends();
    expect(budget.usedBytes).toBe(0);
  });

  it('is shared alike by those that all want as much as they can get', () => {
    const budget = new RingBudget(512 * 1024 * KiB);
    const all = rings(budget, 2_000);
    for (let round = 0; round < 20; round += 1) {
      for (const ring of all) if (ring.holds < 1024 * KiB) ring.asks(Math.max(4 * KiB, ring.holds * 2));
    }
    const before = held(all);
    expect([Math.min(...before), Math.max(...before)]).toEqual([256, 512]);
    // Nobody takes in turns from each other.
    for (const ring of all) ring.asks(512 * KiB);
    expect(held(all).toSorted()).toEqual(before.toSorted());
  });

  it('has the first bytes of each, also where nobody can give any up', () => {
    const budget = new RingBudget(8 * KiB);
    const all = rings(budget, 4);
    for (const ring of all) expect(ring.asks(32 * KiB)).toBe(ring === all[0] ? 8 * KiB : 4 * KiB);
    expect(held(all)).toEqual([4, 4, 4, 4]);
  });
});

describe('a ring', () => {
  it('that gives up half keeps the newest bytes, and shows each that it drops once, in order', () => {
    const budget = new RingBudget(64 * KiB);
    const all = Array.from({ length: 3 }, () => {
      const dropped: Buffer[] = [];
      return { ring: new Ring(64 * KiB, (bytes) => void dropped.push(Buffer.from(bytes)), budget), dropped, said: '' };
    });
    for (let step = 0; step < 400; step += 1) {
      const one = all[step < 100 ? 0 : step % 3];
      if (!one) throw new Error('no ring');
      const piece = `${step}:`.repeat(1 + ((step * 7919) % 500));
      one.ring.append(Buffer.from(piece));
      one.said += piece;
      expect(budget.usedBytes).toBeLessThanOrEqual(64 * KiB);
      for (const { ring, dropped, said } of all) {
        expect(ring.end).toBe(said.length);
        expect(Buffer.concat(dropped).toString()).toBe(said.slice(0, ring.start));
        expect(ring.read(ring.start, ring.end - ring.start)?.toString()).toBe(said.slice(ring.start));
      }
    }
    expect(all.every(({ ring }) => ring.end - ring.start >= 8 * KiB)).toBe(true);
    for (const { ring } of all) ring.free();
    expect(budget.usedBytes).toBe(0);
  });

  it('that ends leaves its memory to the next: what the system was asked for does not grow with those that come and go', () => {
    const budget = new RingBudget(4 * 1024 * KiB);
    const all: { ring: Ring; letter: string; said: number }[] = [];
    for (let step = 0; step < 4_000; step += 1) {
      if (all.length > 9) all.splice((step * 31) % all.length, 1)[0]?.ring.free();
      const letter = String.fromCharCode(97 + (step % 26));
      all.push({ ring: new Ring(1024 * KiB, () => {}, budget), letter, said: 0 });
      const one = all[(step * 7) % all.length];
      if (!one) throw new Error('no ring');
      const bytes = Buffer.alloc(((step * 7_919) % 200) * KiB, one.letter);
      one.ring.append(bytes);
      one.said += bytes.length;
    }
    for (const { ring, letter, said } of all) {
      expect(ring.end).toBe(said);
      const kept = ring.read(ring.start, ring.end - ring.start);
      expect(kept?.equals(Buffer.alloc(ring.end - ring.start, letter))).toBe(true);
    }
    expect(budget.usedBytes).toBeGreaterThan(2 * 1024 * KiB);
    expect(budget.memory.bytes).toBeLessThanOrEqual(4 * 1024 * KiB);
  });
});
