import { parseArgs } from 'node:util';
import { systemClock } from '#shared/clock.ts';
import { relativeTime, utcTime } from '#shared/human-time.ts';
import {
  CliError,
  type Command,
  commonOptions,
  durationMs,
  exitCodes,
  parsed,
  positionalsOf,
  usageError,
  userOf,
} from '../command.ts';
import { hint, print, printable, table } from '../output.ts';
import { type CastEvent, type CastHead, openCast } from '../replay/cast-file.ts';
import { type Pace, Player } from '../replay/player.ts';
import { recordingsDirectory, recordingsOf } from '../replay/recordings.ts';
import { type LocalTerminal, openLocalTerminal } from '../terminal/local-terminal.ts';

const ctrlC = 3;
const space = 32;
const maxSpeed = 1_000;
/** Answers of this terminal to questions in the recording are on their way for so long; they are nobody's input. */
const answersMs = 100;

export const replay: Command = {
  name: 'replay',
  summary: 'play a recording of a terminal',
  help: `Plays a recording (asciicast v2) on this terminal. Space pauses, Ctrl-C ends.

Usage: spoonbox replay FILE [options]
       spoonbox replay --list USER

The recordings of a user are where the gateway runs: {work directory}/recordings/USER. The work directory is
SPOON_AGENT_WORKDIR, else the one of this checkout.

Options
  --speed N          N times as fast (default 1; 0.5 is half as fast)
  --idle-limit TIME  no wait is longer than this, as 2s or 500ms; 0s: no waits at all
  --list USER        the recordings of a user, oldest first

Examples
  spoonbox replay --list alice
  spoonbox replay .spoonbox/work/recordings/alice/main-20260601T120000.000Z.cast
  spoonbox replay demo.cast --speed 2 --idle-limit 1s
  spoonbox replay build.cast --idle-limit 0s > build.log`,
  async run(args, signal) {
    const { values, positionals } = parsed('replay', () =>
      parseArgs({
        args: [...args],
        options: {
          ...commonOptions,
          speed: { type: 'string', default: '1' },
          'idle-limit': { type: 'string' },
          list: { type: 'boolean', default: false },
        },
        allowPositionals: true,
      }),
    );
    if (values.list) return await list(userOf('replay', positionals));
    const [file = ''] = positionalsOf('replay', positionals, 'FILE');
    const idleLimit = values['idle-limit'];
    const idleLimitMs = idleLimit === undefined ? null : durationMs('replay', 'idle-limit', idleLimit);
    await play(file, { speed: speedOf(values.speed), idleLimitMs }, signal);
    return exitCodes.ok;
  },
};

function speedOf(text: string): number {
  const speed = Number(text);
  if (text.trim() !== '' && speed > 0 && speed <= maxSpeed) return speed;
  throw usageError(`--speed ${text} is none: write a number above 0, at most ${maxSpeed}`, 'replay');
}

async function list(user: string): Promise<number> {
  const dir = recordingsDirectory(process.env);
  const recordings = await recordingsOf(dir, user);
  if (recordings.length === 0) throw new CliError(`there is no recording of ${user} in ${dir}`);
  const now = Date.now();
  const rows = recordings.map(({ path, session, startedAt, bytes }) => [
    session,
    `${utcTime(startedAt, now)} (${relativeTime(startedAt, now)})`,
    `${Math.ceil(bytes / 1_024)} KiB`,
    path,
  ]);
  for (const line of table([['SESSION', 'STARTED', 'SIZE', 'FILE'], ...rows])) print(line);
  return exitCodes.ok;
}

async function play(file: string, pace: Pace, signal: AbortSignal): Promise<void> {
  const { head, events } = await openCast(file, signal);
  const terminal = openLocalTerminal(process.stdin, process.stdout);
  tellSize(head, terminal);
  const fromFile = head.idle_time_limit === undefined ? null : head.idle_time_limit * 1_000;
  const player = new Player(systemClock, { ...pace, idleLimitMs: pace.idleLimitMs ?? fromFile }, process.stdout);
  const stopped = new AbortController();
  const onKeys = (keys: Buffer): void => {
    for (const key of keys) {
      if (key === space) player.togglePause();
      if (key === ctrlC) stopped.abort(new CliError('interrupted', exitCodes.interrupted));
    }
  };
  const onTerminal = terminal.interactive && process.stdout.isTTY;
  if (onTerminal) {
    terminal.raw(true);
    process.stdin.on('data', onKeys);
  }
  try {
    await player.play(watched(events, terminal), AbortSignal.any([signal, stopped.signal]));
  } finally {
    if (onTerminal) {
      await new Promise((resolve) => setTimeout(resolve, answersMs));
      process.stdin.off('data', onKeys);
      process.stdin.pause();
      terminal.restore();
    }
    if (process.stdout.isTTY) terminal.reset();
    for (const { atMs, text } of player.markers) hint(`at ${(atMs / 1_000).toFixed(1)} s: ${printable(text)}`);
  }
}

/** So that the terminal can be put right where a program in the recording was cut off. */
async function* watched(events: AsyncIterable<CastEvent>, terminal: LocalTerminal): AsyncGenerator<CastEvent> {
  for await (const event of events) {
    if (event.code === 'o') terminal.watch(Buffer.from(event.data));
    yield event;
  }
}

function tellSize({ width, height }: CastHead, terminal: LocalTerminal): void {
  const { cols, rows } = terminal.size();
  if (!process.stdout.isTTY || (cols >= width && rows >= height)) return;
  hint(`recorded on ${width} × ${height}; this terminal has ${cols} × ${rows}: enlarge it if the picture is torn`);
}
