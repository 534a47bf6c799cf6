import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { defaultRecordingLimits, type RecordingLimits } from '../../gateway/src/recording/limits.ts';
import type { Recorder } from '../../gateway/src/recording/recorder.ts';
import { Recordings } from '../../gateway/src/recording/recordings.ts';
import { FakeClock } from '../support/fake-clock.ts';

const alice = UserName.parse('alice');
const Head = z.looseObject({ version: z.literal(2), width: z.number(), height: z.number(), timestamp: z.number() });
const Event = z.tuple([z.number(), z.enum(['o', 'i', 'r', 'm']), z.string()]);

let dir: string;
let clock: FakeClock;
let logged: string[];
let recordings: Recordings;

function recordingsWith(limits: Partial<RecordingLimits> = {}): Recordings {
  const log = createLogger({ name: 'test', level: 'info', destination: { write: (line) => void logged.push(line) } });
  return new Recordings({ dir, clock, log, limits: { ...defaultRecordingLimits, ...limits } });
}

function open(from: Recordings, session = 's1', input = false): Recorder {
  return from.open({ user: alice, session, size: { cols: 80, rows: 24 }, command: '/bin/bash', input });
}

/** Closes with the clock going on, as the writer needs it. */
async function closed(recorder: Recorder | Recordings): Promise<void> {
  let done = false;
  const closing = recorder.close().then(() => {
    done = true;
  });
  while (!done) await clock.advance(0);
  await closing;
}

function files(session = 's1'): string[] {
  const own = join(dir, 'alice');
  if (!existsSync(own)) return [];
  return readdirSync(own)
    .filter((name) => name.startsWith(`${session}-`))
    .map((name) => join(own, name));
}

function events(session = 's1'): z.infer<typeof Event>[] {
  const [path = ''] = files(session);
  const [head = '', ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  Head.parse(JSON.parse(head));
  return lines.map((line) => Event.parse(JSON.parse(line)));
}

function textOf(code: string, session = 's1'): string {
  return events(session)
    .filter(([, kind]) => kind === code)
    .map(([, , text]) => text)
    .join('');
}

beforeEach(() => {
  dir = join(mkdtempSync(join(tmpdir(), 'recordings-')), 'recordings');
  clock = new FakeClock();
  logged = [];
  recordings = recordingsWith();
});
afterEach(async () => {
  await closed(recordings);
  expect(clock.pending, 'timers left').toBe(0);
  rmSync(join(dir, '..'), { recursive: true });
});

describe('a recording', () => {
  test('is an asciicast v2 file with times, sizes and the bytes as text, for its owner only', async () => {
    const recorder = open(recordings);
    recorder.output(Buffer.from('hi\r\n'));
    await clock.advance(1_500);
    recorder.resize({ cols: 100, rows: 30 });
    recorder.output(Buffer.from('\u001b[1mbold'));
    recorder.input(Buffer.from('secret'));
    await closed(recorder);
    const [path = ''] = files();
    expect(path).toMatch(/\/alice\/s1-\d{8}T\d{6}\.\d{3}Z\.cast$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, 'alice')).mode & 0o777).toBe(0o700);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    const head: unknown = JSON.parse(readFileSync(path, 'utf8').split('\n')[0] ?? '');
    expect(head).toMatchObject({ version: 2, width: 80, height: 24, command: '/bin/bash', title: 'alice/s1' });
    expect(events()).toEqual([
      [0, 'o', 'hi\r\n'],
      [1.5, 'r', '100x30'],
      [1.5, 'o', '\u001b[1mbold'],
    ]);
  });

  test('has what is typed where that is asked for', async () => {
    const recorder = open(recordings, 's1', true);
    recorder.input(Buffer.from('ls\r'));
    await closed(recorder);
    expect(events()).toEqual([[0, 'i', 'ls\r']]);
  });

  test('puts characters that were cut together again; the beginning of one at the end is told as U+FFFD', async () => {
    const recorder = open(recordings);
    const bytes = Buffer.from('a — ✓ 🚀 ß');
    for (let at = 0; at < bytes.length; at += 1) recorder.output(bytes.subarray(at, at + 1));
    recorder.output(bytes.subarray(-2, -1));
    await closed(recorder);
    expect(textOf('o')).toBe('a — ✓ 🚀 ß\ufffd');
  });

  test('what is no UTF-8 is U+FFFD, and what surrounds it is whole', async () => {
    const recorder = open(recordings);
    recorder.output(Buffer.from([0x61, 0xff, 0x62, 0xe2, 0x80]));
    recorder.output(Buffer.from([0x63, 0x80, 0x80, 0x80, 0x80, 0xc3]));
    recorder.output(Buffer.from([0xa4, 0x1b, 0x22, 0x5c, 0x00, 0x7f]));
    await closed(recorder);
    expect(textOf('o')).toBe('a\ufffdb\ufffdc\ufffd\ufffd\ufffd\ufffdä\u001b"\\\0\u007f');
  });

  test('keeps its own copy of the bytes', async () => {
    const recorder = open(recordings);
    const bytes = Buffer.from('before');
    recorder.output(bytes);
    bytes.fill('x');
    await closed(recorder);
    expect(textOf('o')).toBe('before');
  });

  test('is in the file within the flush time, and whole after much output', async () => {
    const recorder = open(recordings);
    recorder.output(Buffer.from('early'));
    await clock.advance(defaultRecordingLimits.flushEveryMs);
    await until(() => files().length === 1 && readFileSync(files()[0] ?? '', 'utf8').includes('early'));
    const chunk = Buffer.alloc(60_000, 'x');
    for (let count = 0; count < 40; count += 1) recorder.output(chunk);
    await closed(recorder);
    expect(textOf('o')).toHaveLength(5 + 40 * 60_000);
    expect(textOf('m')).toBe('');
  });

  test('leaves out what the disk is too slow for, says how much at that place, and keeps the last size', async () => {
    await closed(recordings);
    recordings = recordingsWith({ queueBytes: 1_000 });
    const recorder = open(recordings);
    recorder.output(Buffer.alloc(800, 'a'));
    recorder.output(Buffer.alloc(800, 'b'));
    recorder.output(Buffer.alloc(500, 'c'));
    for (let cols = 1; cols <= 100; cols += 1) recorder.resize({ cols, rows: 5 });
    let dots = 0;
    await until(() => {
      recorder.output(Buffer.from('.'));
      dots += 1;
      return files().length === 1 && readFileSync(files()[0] ?? '', 'utf8').includes('aaa');
    });
    await until(() => {
      recorder.output(Buffer.from('.'));
      dots += 1;
      return textOf('m') !== '';
    }, defaultRecordingLimits.flushEveryMs);
    await closed(recorder);
    const shown = textOf('o');
    expect(shown).toMatch(/^a{800}\.+$/);
    const missing = 800 + 500 + dots - (shown.length - 800);
    expect(textOf('m')).toBe(`${missing} bytes are missing here: more came at once than may wait for the disk`);
    const codes = events().map(([, code]) => code);
    expect(codes.indexOf('m')).toBeLessThan(codes.lastIndexOf('o'));
    const sizes = events().filter(([, code]) => code === 'r');
    expect(sizes.at(-1)?.[2]).toBe('100x5');
    expect(sizes.length).toBeLessThan(10);
  });

  test('that is closed while its file is being made is one file, and no error', async () => {
    const recorder = open(recordings);
    recorder.output(Buffer.from('short'));
    await clock.advance(0);
    await closed(recorder);
    expect(textOf('o')).toBe('short');
    let turns = 0;
    await until(() => ++turns > 20); // the writer may come by once more
    expect(logged).toEqual([]);
    expect(files()).toHaveLength(1);
  });

  test('shares the memory of all: one that is slow leaves the others less, and gives it back', async () => {
    await closed(recordings);
    recordings = recordingsWith({ totalQueueBytes: 1_000 });
    const [one, two] = [open(recordings, 's1'), open(recordings, 's2')];
    one.output(Buffer.alloc(800, 'a'));
    two.output(Buffer.alloc(800, 'b'));
    await closed(one);
    two.output(Buffer.alloc(800, 'c'));
    await closed(two);
    expect(textOf('o', 's1')).toBe('a'.repeat(800));
    expect(textOf('m', 's2')).toMatch(/^800 bytes are missing/);
    expect(textOf('o', 's2')).toBe('c'.repeat(800));
  });

  test('goes on in another file at the size limit, each within it, with the size of the screen and times of its own', async () => {
    await closed(recordings);
    recordings = recordingsWith({ fileBytes: 2_000 });
    const recorder = open(recordings);
    for (const letter of 'abcdefg') {
      recorder.output(Buffer.alloc(400, letter));
      recorder.resize({ cols: letter.charCodeAt(0), rows: 7 });
      await clock.advance(500);
    }
    await closed(recorder);
    const all = files().toSorted();
    expect(all.length).toBeGreaterThan(1);
    let shown = '';
    for (const [index, path] of all.entries()) {
      expect(statSync(path).size).toBeLessThanOrEqual(2_000);
      const [head = '', ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
      const cast = lines.map((line) => Event.parse(JSON.parse(line)));
      expect(cast[0]?.[0]).toBe(0);
      const before = shown.at(-1);
      const width = before === undefined ? 80 : before.charCodeAt(0);
      expect(Head.parse(JSON.parse(head)).width).toBe(width);
      shown += cast.map(([, code, text]) => (code === 'o' ? text : '')).join('');
      const isLast = index === all.length - 1;
      expect(cast.at(-1)?.[1] === 'm').toBe(!isLast);
      if (!isLast)
        expect(cast.at(-1)?.[2]).toMatch(/goes on in another file: this one has reached the limit of 2000 bytes$/);
    }
    expect(shown).toBe([...'abcdefg'].map((letter) => letter.repeat(400)).join(''));
  });

  test('has as much of a frame that is larger than the queue as fits, and says why the rest is missing', async () => {
    await closed(recordings);
    recordings = recordingsWith({ queueBytes: 1_000, batchBytes: 100 });
    const recorder = open(recordings);
    recorder.output(Buffer.alloc(5_000, 'a'));
    await closed(recorder);
    const shown = textOf('o').length;
    expect(shown).toBeGreaterThan(400);
    expect(textOf('m')).toBe(`${5_000 - shown} bytes are missing here: more came at once than may wait for the disk`);
  });

  test('that cannot be written is told in the log, once, and its session goes on', async () => {
    mkdirSync(dir);
    writeFileSync(join(dir, 'alice'), 'in the way');
    const recorder = open(recordings);
    recorder.output(Buffer.from('x'));
    await clock.advance(1_000);
    await closed(recorder);
    expect(logged.filter((line) => line.includes('recording stopped, the terminal goes on'))).toHaveLength(1);
  });

  // A small file system of its own needs root.
  test.runIf(process.getuid?.() === 0)('on a disk that is full ends with whole lines, and is told', async () => {
    mkdirSync(dir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', dir]);
    try {
      const recorder = open(recordings);
      const chunk = Buffer.alloc(50_000, 'x');
      for (let count = 0; count < 5; count += 1) recorder.output(chunk);
      await until(() => files().length === 1 && statSync(files()[0] ?? '').size > 250_000);
      for (let count = 0; count < 10; count += 1) recorder.output(chunk);
      await until(() => logged.some((line) => line.includes('the disk is full: free some space')));
      recorder.output(chunk);
      await closed(recorder);
      expect(textOf('o')).toBe('x'.repeat(250_000));
    } finally {
      execFileSync('umount', [dir]);
    }
  });

  test('follows no link', async () => {
    const elsewhere = join(dir, '..', 'elsewhere');
    mkdirSync(elsewhere);
    mkdirSync(dir);
    symlinkSync(elsewhere, join(dir, 'alice'));
    const recorder = open(recordings);
    await closed(recorder);
    expect(readdirSync(elsewhere)).toEqual([]);
    expect(logged.join('')).toContain('is a link: recordings follow none');
  });

  test('is finished when the gateway closes', async () => {
    open(recordings).output(Buffer.from('the last words'));
    await closed(recordings);
    expect(textOf('o')).toBe('the last words');
  });
});

describe('old recordings', () => {
  const dayMs = 24 * 3_600_000;
  const castName = (day: number): string => `s${day}-20260101T0000${String(day).padStart(2, '0')}.000Z.cast`;

  function old(name: string, ageMs: number, bytes: number, user = 'alice'): string {
    mkdirSync(join(dir, user), { recursive: true });
    const path = join(dir, user, name);
    writeFileSync(path, '');
    truncateSync(path, bytes);
    const at = (Date.now() - ageMs) / 1_000;
    utimesSync(path, at, at);
    return path;
  }

  test('go at an opening: those past the age, and the oldest above the total', async () => {
    await closed(recordings);
    recordings = recordingsWith({ userBytes: 1_000, maxAgeMs: 10 * dayMs });
    const paths = [old(castName(1), dayMs, 400), old(castName(2), 2 * dayMs, 500), old(castName(3), 3 * dayMs, 200)];
    paths.push(old(castName(4), 11 * dayMs, 1));
    await closed(open(recordings, 'fresh'));
    expect(paths.map((path) => existsSync(path))).toEqual([true, true, false, false]);
    expect(files('fresh')).toHaveLength(1);
  });

  test('stay while they are written, however old and large they are', async () => {
    await closed(recordings);
    recordings = recordingsWith({ userBytes: 1_000, maxAgeMs: 10 * dayMs });
    const recorder = open(recordings, 'busy');
    recorder.output(Buffer.alloc(2_000, 'a'));
    await until(() => files('busy').length === 1 && statSync(files('busy')[0] ?? '').size > 2_000, 100);
    const longAgo = (Date.now() - 11 * dayMs) / 1_000;
    utimesSync(files('busy')[0] ?? '', longAgo, longAgo);
    const goes = old(castName(1), dayMs, 1_400);
    await closed(open(recordings, 'fresh'));
    expect(existsSync(goes)).toBe(false);
    recorder.output(Buffer.from('the last words'));
    await closed(recorder);
    expect(textOf('o', 'busy')).toContain('the last words');
  });

  test('go every hour, also of users who do not come any more', async () => {
    const paths = [old(castName(1), 31 * dayMs, 1), old(castName(2), 31 * dayMs, 1, 'bob'), old(castName(3), dayMs, 1)];
    await clock.advance(defaultRecordingLimits.tidyEveryMs);
    await until(() => !existsSync(paths[0] ?? '') && !existsSync(paths[1] ?? ''));
    expect(existsSync(paths[2] ?? '')).toBe(true);
  });

  test('nothing else goes: other names, links, directories, and what links lead to', async () => {
    const outside = join(dir, '..', castName(9));
    writeFileSync(outside, 'theirs');
    const ancient = 400 * dayMs;
    const kept = [old('keep.cast', ancient, 1), old(`${castName(1)}.bak`, ancient, 1), old('notes.txt', ancient, 1)];
    mkdirSync(join(dir, 'alice', castName(2)));
    symlinkSync(outside, join(dir, 'alice', castName(3)));
    utimesSync(outside, 1, 1);
    lutimesSync(join(dir, 'alice', castName(3)), 1, 1);
    mkdirSync(join(dir, '..', 'elsewhere'));
    writeFileSync(join(dir, '..', 'elsewhere', castName(4)), 'theirs');
    utimesSync(join(dir, '..', 'elsewhere', castName(4)), 1, 1);
    symlinkSync(join(dir, '..', 'elsewhere'), join(dir, 'bob'));
    kept.push(outside, join(dir, 'alice', castName(2)), join(dir, '..', 'elsewhere', castName(4)));
    kept.push(join(dir, 'alice', castName(3)));
    const goes = old(castName(5), ancient, 1);
    await clock.advance(defaultRecordingLimits.tidyEveryMs);
    await until(() => !existsSync(goes));
    await closed(recordings);
    expect(kept.filter((path) => !existsSync(path))).toEqual([]);
  });
});

/** What the thread pool does takes real time; the clock of the test stands. */
async function until(holds: () => boolean, stepMs = 0): Promise<void> {
  for (let turn = 0; turn < 5_000; turn += 1) {
    if (holds()) return;
    await clock.advance(stepMs);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error('it did not come about');
}
