import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PassThrough } from 'node:stream';
import { type CastEvent, openCast } from '../../controller/cli/replay/cast-file.ts';
import { Player } from '../../controller/cli/replay/player.ts';
import { until } from '../api/api-world.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { runCli, startCli } from './cli-run.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'replay-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const head = '{"version":2,"width":80,"height":24}';

function cast(...lines: string[]): string {
  const path = join(dir, 'a.cast');
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''));
  return path;
}

describe('spoonbox replay', () => {
  test('writes the output and nothing else; markers are told beside it', async () => {
    const path = cast(
      head,
      '[0.1,"o","a — ✓\\r\\n"]',
      '[0.2,"i","typed"]',
      '[0.2,"r","9x9"]',
      '[0.3,"m","7 bytes are missing"]',
      '[0.3,"o","\\u001b[1mb"]',
    );
    expect(await runCli(['replay', path, '--speed', '100'])).toEqual({
      code: 0,
      out: 'a — ✓\r\n\u001b[1mb',
      err: 'at 0.3 s: 7 bytes are missing\n',
    });
  });

  test('with no waits a long recording is there at once', async () => {
    const path = cast(head, '[0,"o","a"]', '[90000,"o","b"]');
    expect(await runCli(['replay', path, '--idle-limit', '0s'])).toMatchObject({ code: 0, out: 'ab' });
  });

  test('names the line that is refused, after what could be played', async () => {
    const path = cast(head, '[0,"o","a"]', '[0,"o","b"]', '[0.5,"o","cut o');
    expect(await runCli(['replay', path])).toMatchObject({
      code: 1,
      out: 'ab',
      err: expect.stringMatching(/a\.cast: line 4 is no event.*may have been cut off there\n$/),
    });
  });

  test.each([
    ['nothing', [], 'is empty: it is no recording'],
    ['another file', ['#!/bin/sh'], 'line 1 does not begin an asciicast file'],
    ['another version', ['{"version":3,"term":{}}'], 'line 1 says version 3: only version 2 is played'],
    ['a head without a size', ['{"version":2,"width":80}'], 'line 1 has a head that is refused: height:'],
    ['an event back in time', [head, '[-1,"o","a"]'], 'line 2 is no event'],
  ])('refuses %s', async (_what, lines, message) => {
    const reading = async (): Promise<void> => {
      const { events } = await openCast(cast(...lines), new AbortController().signal);
      for await (const _event of events);
    };
    await expect(reading()).rejects.toThrow(message);
  });

  test('says what is wrong with the call', async () => {
    expect(await runCli(['replay'])).toMatchObject({ code: 2, err: expect.stringContaining('FILE is missing') });
    expect(await runCli(['replay', 'x', '--speed', '0'])).toMatchObject({ code: 2 });
    expect(await runCli(['replay', 'x', '--idle-limit', '2'])).toMatchObject({ code: 2 });
    expect(await runCli(['replay', join(dir, 'none')])).toMatchObject({
      code: 1,
      err: expect.stringContaining('ENOENT'),
    });
  });

  test('lists the recordings of a user, oldest first', async () => {
    mkdirSync(join(dir, 'recordings', 'alice'), { recursive: true });
    for (const name of ['b-20260102T000000.000Z.cast', 'a-b-20260103T000000.000Z.cast', 'notes.txt']) {
      writeFileSync(join(dir, 'recordings', 'alice', name), 'x');
    }
    process.env.SPOON_AGENT_WORKDIR = dir;
    try {
      const { code, out } = await runCli(['replay', '--list', 'alice']);
      expect(code).toBe(0);
      expect(out.split('\n').map((line) => line.split(' ')[0])).toEqual(['SESSION', 'b', 'a-b', '']);
      expect(out).toContain('2026-01-02 00:00:00 UTC');
      expect(await runCli(['replay', '--list', 'bob'])).toMatchObject({
        code: 1,
        err: expect.stringContaining('no recording of bob'),
      });
      expect(await runCli(['replay', '--list', '../x'])).toMatchObject({
        code: 1,
        err: expect.stringContaining('no user name'),
      });
    } finally {
      delete process.env.SPOON_AGENT_WORKDIR;
    }
  });

  test('on a terminal Ctrl-C ends it, and the terminal is as before', async () => {
    const path = cast(head, '[0,"o","begins\\u001b[?1049h"]', '[3600,"o","never"]');
    const cli = startCli(['replay', path], { tty: true });
    await until(() => cli.out().includes('begins'), 'it plays');
    cli.child.stdin?.write('\u0003');
    const { code, out } = await cli.ended;
    expect(code).toBe(130);
    expect(out).not.toContain('never');
    expect(out).toContain('\u001b[?1049l');
    const [before, after] = out.match(/[0-9a-f]+(:[0-9a-f]+){10,}/g) ?? [];
    expect(before).toBeDefined();
    expect(after).toBe(before);
  });
});

describe('the pace', () => {
  const recorded: CastEvent[] = [
    { atMs: 0, code: 'o', data: 'a' },
    { atMs: 1_000, code: 'o', data: 'b' },
    { atMs: 61_000, code: 'o', data: 'c' },
  ];

  function playing(pace: { speed: number; idleLimitMs: number | null }): {
    clock: FakeClock;
    player: Player;
    shown: () => string;
    done: Promise<void>;
  } {
    const clock = new FakeClock();
    const out = new PassThrough({ encoding: 'utf8' });
    const player = new Player(clock, pace, out);
    const done = player.play(
      (async function* () {
        yield* recorded;
      })(),
      new AbortController().signal,
    );
    let text = '';
    out.on('data', (chunk) => {
      text += String(chunk);
    });
    return { clock, player, shown: () => text, done };
  }

  test('is as recorded', async () => {
    const { clock, shown, done } = playing({ speed: 1, idleLimitMs: null });
    await clock.advance(999);
    expect(shown()).toBe('a');
    await clock.advance(1);
    expect(shown()).toBe('ab');
    await clock.advance(59_999);
    expect(shown()).toBe('ab');
    await clock.advance(1);
    await done;
    expect(shown()).toBe('abc');
    expect(clock.pending).toBe(0);
  });

  test('is faster, and shorter where nothing happened', async () => {
    const { clock, shown, done } = playing({ speed: 2, idleLimitMs: 4_000 });
    await clock.advance(500);
    expect(shown()).toBe('ab');
    await clock.advance(1_999);
    expect(shown()).toBe('ab');
    await clock.advance(1);
    await done;
    expect(shown()).toBe('abc');
  });

  test('a pause stops it, and what was left of the wait is left after it', async () => {
    const { clock, player, shown, done } = playing({ speed: 1, idleLimitMs: 2_000 });
    await clock.advance(400);
    player.togglePause();
    await clock.advance(7_200_000);
    expect(shown()).toBe('a');
    player.togglePause();
    await clock.advance(599);
    expect(shown()).toBe('a');
    await clock.advance(1);
    expect(shown()).toBe('ab');
    await clock.advance(2_000);
    await done;
    expect(shown()).toBe('abc');
    expect(clock.pending).toBe(0);
  });
});
