import { describe, expect, test } from 'vitest';
import { conditionsOf } from '../../controller/src/box/conditions.ts';
import type { BoxContext } from '../../controller/src/box/context.ts';
import type { Facts } from '../../controller/src/box/facts.ts';
import { type Plan, planNext } from '../../controller/src/box/plan.ts';
import type { StateValue } from '../../controller/src/box/snapshot.ts';
import { openVault } from '../../controller/src/box/vault.ts';
import { containerOf, factsOf, now, pauseMode } from '../support/box-facts.ts';
import { contextOf } from './worlds.ts';

/** How the machine brings a vault into a home, pass by pass. */

const box = containerOf();
const there = { ownership: { box, misnamed: false, extras: [], foreign: null } };
const ended = { command: 'write-vault', containerId: box.id } as const;
const wrote = (
  revision: number,
  drift: NonNullable<Facts['last']>['vault'] & object = { revision, drift: [], failed: [] },
) => ({ ...ended, fault: null, vault: drift }) as const;
const failed = (operation = 'writeVault') =>
  ({ ...ended, fault: { kind: 'failed', operation, status: null, message: 'no space' } }) as const;

/** One life of a box, of which each step is a pass that finds what it is told. */
function life(from: { value: StateValue; context: BoxContext }) {
  let stored = from;
  let time = now;
  return {
    pass(found: Partial<Facts>, afterMs = 10): Plan {
      time += afterMs;
      const plan = planNext(stored, factsOf({ ...there, now: time, ...found }));
      stored = { value: plan.value, context: plan.context };
      return plan;
    },
    condition(found: Partial<Facts>) {
      const facts = factsOf({ ...there, now: time, ...found });
      const plan = planNext(stored, facts);
      return conditionsOf(plan, facts, []).find(({ type }) => type === 'VaultApplied');
    },
  };
}

const probing = () => life({ value: { provisioning: 'probing' }, context: contextOf({}) });
const ready = () => life({ value: { ready: 'active' }, context: contextOf({ probedId: box.id, readyAt: now }) });
const probed = { command: 'probe', containerId: box.id, fault: null } as const;
const vault = { revision: 7 };

describe('before a box is ready', () => {
  test('its vault is written, after its probe, and not once more when that is done', () => {
    const one = probing();
    expect(one.pass({ vault, last: probed })).toMatchObject({
      command: { type: 'write-vault', id: box.id },
      phase: 'provisioning',
    });
    expect(one.pass({ vault, last: wrote(7) })).toMatchObject({ command: { type: 'none' }, phase: 'ready' });
    expect(one.pass({ vault }).command.type).toBe('none');
    expect(one.condition({ vault })).toMatchObject({ status: 'True', reason: 'VaultApplied' });
  });

  test('nothing is written where there is no vault', () => {
    expect(probing().pass({ last: probed })).toMatchObject({ command: { type: 'none' }, phase: 'ready' });
  });

  test.each([
    ['written', failed(), 'VaultFailed'],
    ['opened', failed(openVault), 'VaultUnreadable'],
    ['written in part', wrote(7, { revision: 7, drift: [], failed: [{ path: '.a', why: 'no space' }] }), 'VaultFailed'],
  ] as const)('one that cannot be %s does not keep it from being ready, and is told', (_what, last, reason) => {
    const one = probing();
    one.pass({ vault, last: probed });
    expect(one.pass({ vault, last })).toMatchObject({ command: { type: 'none' }, phase: 'ready' });
    const condition = one.condition({ vault });
    expect(condition).toMatchObject({ status: 'False', reason });
    expect(condition?.message).toContain('no space');
  });
});

describe('while a box is ready', () => {
  test('a change of the vault is written, and a write that came too early for it is followed by another', () => {
    const one = ready();
    expect(one.pass({ vault }).command.type).toBe('write-vault');
    expect(one.pass({ vault: { revision: 8 }, last: wrote(7) }).command.type).toBe('write-vault');
    expect(one.pass({ vault: { revision: 8 }, last: wrote(8) }).command.type).toBe('none');
  });

  test('a failure is tried again, ever more slowly, and a change at once', () => {
    const one = ready();
    one.pass({ vault });
    for (const waitMs of [1_000, 2_000, 4_000]) {
      expect(one.pass({ vault, last: failed() })).toMatchObject({ command: { type: 'none' }, requeueAfterMs: waitMs });
      expect(one.pass({ vault }, waitMs - 1).command.type).toBe('none');
      expect(one.pass({ vault }, 1).command.type).toBe('write-vault');
    }
    one.pass({ vault, last: failed() });
    expect(one.pass({ vault: { revision: 8 } }).command.type).toBe('write-vault');
  });

  test('what the user edited is told, and not written again', () => {
    const one = ready();
    one.pass({ vault });
    const drift = [{ path: '.bashrc', how: 'edited' as const }];
    expect(one.pass({ vault, last: wrote(7, { revision: 7, drift, failed: [] }) }).command.type).toBe('none');
    const condition = one.condition({ vault });
    expect(condition).toMatchObject({ status: 'False', reason: 'VaultDrift' });
    expect(condition?.message).toContain('.bashrc (edited in the box)');
  });

  test('another container has it written again; an engine that is down for a while does not', () => {
    const one = ready();
    one.pass({ vault });
    one.pass({ vault, last: wrote(7) });
    one.pass({ vault, engineDown: 'connection refused', ownership: { ...there.ownership, box: null } });
    expect(one.pass({ vault }).command.type).toBe('none');
    const other = containerOf({ id: 'box-2' });
    const found = { vault, ownership: { ...there.ownership, box: other } };
    expect(one.pass(found).command).toMatchObject({ type: 'probe', id: 'box-2' });
    expect(one.pass({ ...found, last: { ...probed, containerId: 'box-2' } }).command).toMatchObject({
      type: 'write-vault',
      id: 'box-2',
    });
  });

  test('one that was started again has it written again: its home may have changed while it lay still', () => {
    const one = ready();
    one.pass({ vault });
    one.pass({ vault, last: wrote(7) });
    const exited = { ...there.ownership, box: containerOf({ state: 'exited', exitCode: 137 }) };
    one.pass({ vault, ownership: exited });
    expect(one.pass({ vault, ownership: exited }).command.type).toBe('start');
    expect(one.pass({ vault, last: { ...probed, command: 'start' } }).command.type).toBe('write-vault');
  });

  test('nothing is written while the reconciler is paused, and it is made good afterwards', () => {
    const one = ready();
    expect(one.pass({ vault, mode: pauseMode }).command.type).toBe('none');
    expect(one.pass({ vault }).command.type).toBe('write-vault');
  });
});
