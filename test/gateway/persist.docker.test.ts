import { setTimeout as delay } from 'node:timers/promises';
import xterm from '@xterm/headless';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { systemClock } from '#shared/clock.ts';
import { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { createDockerExec } from '../../gateway/src/exec/docker-exec.ts';
import type { BoxExec, StartTerminal, Terminal } from '../../gateway/src/exec/port.ts';
import { type Boxes, createBoxes, createGatewayWorld } from './gateway-world.ts';
import { open } from './test-client.ts';

/** Shells that outlive their gateway: tmux in the box, seen by a real screen. */

const log = createLogger({ name: 'exec', level: 'silent' });
const never = new AbortController().signal;
const size = { cols: 80, rows: 24 };

let boxes: Boxes;
let containerId: string;
beforeAll(async () => {
  boxes = await createBoxes();
  containerId = await boxes.start(UserName.parse(`persist-${process.pid}`));
});
afterAll(async () => {
  await boxes?.close();
});

let sessions = 0;
function startOf(more: Partial<StartTerminal> = {}): StartTerminal {
  sessions += 1;
  return {
    containerId,
    session: `s${process.pid}-${sessions}`,
    size,
    directory: null,
    environment: {},
    persist: 'tmux',
    ...more,
  };
}

/** A gateway's own connection: a second one knows nothing of the first one's shells. */
function execOf(): BoxExec {
  return createDockerExec({ connect: boxes.connect, clock: systemClock, log });
}

/** What a person sees of a terminal: xterm.js draws it, and answers what it is asked. */
function screenOf(terminal: Terminal, ofSize = size) {
  const screen = new xterm.Terminal({ ...ofSize, scrollback: 5_000, allowProposedApi: true });
  let raw = '';
  terminal.stream.on('data', (bytes: Buffer) => {
    raw += bytes.toString('latin1');
    screen.write(bytes);
  });
  screen.onData((answer) => void terminal.stream.write(answer));
  const lines = (): string[] => {
    const { active } = screen.buffer;
    return Array.from({ length: active.length }, (_, y) => active.getLine(y)?.translateToString(true) ?? '');
  };
  const closed = new Promise<void>((resolve) => terminal.stream.once('close', resolve));
  return {
    screen,
    lines,
    raw: () => raw,
    text: () => lines().join('\n'),
    closed,
    type: (text: string) => void terminal.stream.write(text),
    async sees(what: RegExp | string): Promise<void> {
      await vi.waitFor(() =>
        typeof what === 'string'
          ? expect(lines().join('\n')).toContain(what)
          : expect(lines().join('\n')).toMatch(what),
      );
    },
  };
}

const processesOf = async (session: string): Promise<string[]> => {
  const script =
    'for f in $(grep -lszFx "SPOONBOX_SESSION=$1" /proc/[0-9]*/environ); do tr "\\0" " " < $(dirname $f)/cmdline; echo; done';
  const text = await run(['sh', '-c', script, 'look', session]);
  return text.split('\r\n').filter((line) => line.trim() !== '');
};

/** What a command in the box prints. */
async function run(command: string[]): Promise<string> {
  const exec = await boxes.docker.getContainer(containerId).exec({ Cmd: command, AttachStdout: true, Tty: true });
  const output = await exec.start({ Tty: true });
  let text = '';
  for await (const chunk of output) text += String(chunk);
  return text;
}

/** As a gateway that is killed: nobody hangs anything up. */
function drop(terminal: Terminal): void {
  terminal.stream.destroy();
}

describe('a shell under tmux', () => {
  it.each([
    ['', 'exit 7', 7],
    ['', 'exit', 0],
    // More than tmux has drawn by then.
    ['seq 1 5000; ', 'exit 8', 8],
    ['', 'kill -9 $$', 137],
    ['', 'kill -HUP $$', 129],
  ])(
    'that ends by `%s%s` tells its exit code, and its last output stays on the screen',
    async (first, last, exitCode) => {
      const terminal = await execOf().open(startOf(), never);
      const seen = screenOf(terminal);
      await seen.sees(/\$ $/m);
      seen.type(`${first}echo last"-"words; ${last}\n`);
      await seen.closed;
      expect(await terminal.state()).toEqual({ running: false, exitCode, boxRuns: true });
      await seen.sees('last-words');
      const { baseY, cursorY } = seen.screen.buffer.active;
      const words = seen.lines().lastIndexOf('last-words');
      expect(words).toBeGreaterThanOrEqual(baseY);
      expect(baseY + cursorY).toBeGreaterThan(words);
      expect(seen.text()).not.toMatch(/exited|detached|server|Pane is dead/);
    },
  );

  it('is not felt: no status bar, no key taken, native scroll-back, the environment of a plain shell', async () => {
    const start = startOf();
    const terminal = await execOf().open(start, never);
    const seen = screenOf(terminal);
    await seen.sees(/\$ $/m);
    seen.type(
      'stty size; echo "tmux=[$TMUX$TERM_PROGRAM] color=$COLORTERM mark=$SPOONBOX_SESSION"; shopt login_shell; stty -echo; cat -v\n',
    );
    await seen.sees('24 80');
    await seen.sees(`tmux=[] color=truecolor mark=${start.session}`);
    await seen.sees(/login_shell\s+on/);
    seen.type('keys:\x02c\x02d\x02:\x1b[5~\x1bx\n');
    await seen.sees(/keys:\^Bc\^Bd\^B:\^\[\[5~\^\[x/);
    seen.type('\x03');
    await seen.sees(/^130 .*\$ $/m);
    seen.type('stty echo; for i in $(seq 1 100); do echo line-$i; sleep 0.002; done\n');
    await seen.sees('line-100');
    const numbered = seen.lines().filter((line) => /^line-\d+$/.test(line));
    expect(numbered).toEqual(Array.from({ length: 100 }, (_, i) => `line-${i + 1}`));
    expect(seen.screen.buffer.active.type).toBe('normal');
    await terminal.hangUp();
    await vi.waitFor(async () => expect(await processesOf(start.session)).toEqual([]));
  });

  it('passes titles, true colour, the clipboard and mouse modes through', async () => {
    const terminal = await execOf().open(startOf(), never);
    const seen = screenOf(terminal);
    await seen.sees(/\$ $/m);
    let title = '';
    seen.screen.onTitleChange((now) => {
      title = now;
    });
    seen.type(
      String.raw`printf '\033]2;a-title\007\033[38;2;1;2;3mcolour\033[m\033]52;c;aGVsbG8=\007\033[?1000h\033[?1006h'` +
        '\n',
    );
    await vi.waitFor(() => {
      expect(title).toBe('a-title');
      expect(seen.raw()).toMatch(/38[;:]2[;:]+1[;:]2[;:]3m/);
      expect(seen.raw()).toContain('\x1b]52;');
      expect(seen.raw()).toContain('aGVsbG8=');
      expect(seen.raw()).toContain('\x1b[?1000h');
    });
    await terminal.hangUp();
  });

  it('goes on without its gateway, for another one: the same shell, what it runs, the scroll-back and the screen', async () => {
    const start = startOf();
    const first = await execOf().open(start, never);
    const before = screenOf(first);
    await before.sees(/\$ $/m);
    before.type('echo "pid=$$."; for i in $(seq 1 300); do echo history-$i; done\n');
    await before.sees('history-300');
    const pid = /pid=(\d+)\./.exec(before.text())?.[1];
    before.type('n=0; while sleep 0.05; do n=$((n+1)); echo count-$n; [ $n = 200 ] && break; done\n');
    await before.sees('count-5');
    drop(first);
    await delay(500);

    const second = await execOf().resume({ ...start, size: { cols: 100, rows: 30 } }, never);
    if (second === null) throw new Error('there is no shell');
    const after = screenOf(second);
    after.screen.resize(100, 30);
    await after.sees('count-40');
    after.type('\x03');
    after.type('stty size; echo "same=$$."\n');
    await after.sees('30 100');
    await after.sees(`same=${pid}.`);
    // All of it, each line once and in order: the scroll-back is tmux's, the rest was drawn.
    const lines = after.lines().filter((line) => /^(history|count)-\d+$/.test(line));
    const counted = lines.filter((line) => line.startsWith('count')).map((line) => Number(line.slice(6)));
    expect(counted).toEqual(counted.map((_, i) => i + 1));
    const history = lines.filter((line) => line.startsWith('history'));
    expect(history).toEqual(Array.from({ length: 300 }, (_, i) => `history-${i + 1}`));
    after.type('exit 5\n');
    await after.closed;
    expect(await second.state()).toMatchObject({ running: false, exitCode: 5 });
    await vi.waitFor(async () => expect(await processesOf(start.session)).toEqual([]));
  });

  it('gives who comes back every line once, at any size, while it goes on printing', async () => {
    const start = startOf();
    const first = await execOf().open(start, never);
    const before = screenOf(first);
    await before.sees(/\$ $/m);
    // A long line every now and then: it is wrapped anew for each size.
    before.type(
      'n=0; while ! read -rt 0.01 s; do n=$((n+1)); echo count-$n; ((n % 9)) || printf "%0190d\\n" 0; done\n',
    );
    await before.sees('count-60');
    drop(first);
    const sizes = [size, { cols: 100, rows: 30 }, { cols: 61, rows: 11 }, { cols: 132, rows: 43 }, size];
    for (const [i, now] of sizes.entries()) {
      const resumed = await execOf().resume({ ...start, size: now }, never);
      if (resumed === null) throw new Error('there is no shell');
      const after = screenOf(resumed, now);
      const countedOf = (): number[] =>
        after
          .lines()
          .flatMap((line) => /^count-(\d+)$/.exec(line)?.[1] ?? [])
          .map(Number);
      await vi.waitFor(() => expect(countedOf().length).toBeGreaterThan(0));
      const seen = countedOf().at(-1) ?? 0;
      await after.sees(`count-${seen + 30}`);
      expect(countedOf()).toEqual(Array.from({ length: countedOf().at(-1) ?? 0 }, (_, i) => i + 1));
      if (i < sizes.length - 1) drop(resumed);
      else await resumed.hangUp();
    }
  });

  it('goes on where only its connection is killed, and its exit code arrives', async () => {
    const world = await createGatewayWorld(boxes.exec);
    try {
      const gateway = await world.gateway({ persist: 'tmux', limits: { graceMs: 60_000 } });
      const user = world.newUser();
      await world.commit(user, { phase: 'ready', containerId });
      const session = `killed-${process.pid}`;
      const client = await open({ port: gateway.port, token: await world.token(user, { session }) });
      client.type('echo "pid=$$."\n');
      await client.sees(/pid=\d+\./);
      const pid = /pid=(\d+)\./.exec(client.text())?.[1];
      await run(['pkill', '-KILL', '-x', 'tmux: client']);
      await client.sees('\x1bc');
      client.type('echo "still=$$."\n');
      await client.sees(`still=${pid}.`);
      expect(client.messages.filter(({ type }) => type === 'hello')).toHaveLength(1);
      client.type('exit 9\n');
      expect(await client.message('exit')).toMatchObject({ code: 9, reason: 'exited' });
      await vi.waitFor(async () => expect(await processesOf(session)).toEqual([]));
    } finally {
      await world.close();
    }
  });

  it('that is taken over ends at its old gateway as one that was hung up', async () => {
    const start = startOf();
    const first = await execOf().open(start, never);
    const before = screenOf(first);
    await before.sees(/\$ $/m);
    const second = await execOf().resume(start, never);
    await before.closed;
    expect(await first.state()).toEqual({ running: false, exitCode: 129, boxRuns: true });
    await first.hangUp();
    if (second === null) throw new Error('there is no shell');
    const after = screenOf(second);
    after.type('echo still"-"here\n');
    await after.sees('still-here');
    await second.hangUp();
  });

  it('that is left can be resumed, and nothing but its connection ends', async () => {
    const start = startOf();
    const first = await execOf().open(start, never);
    const before = screenOf(first);
    await before.sees(/\$ $/m);
    before.type('left=mine; echo set=$left.\n');
    await before.sees('set=mine.');
    expect(await first.leave()).toBe(true);
    const second = await execOf().resume(start, never);
    if (second === null) throw new Error('there is no shell');
    const after = screenOf(second);
    after.type('echo left=$left.\n');
    await after.sees('left=mine.');
    await second.hangUp();
    expect(await execOf().resume(start, never)).toBeNull();
  });

  it('that is hung up leaves no process, also where its shell and its programs would outlive that', async () => {
    const start = startOf();
    const terminal = await execOf().open(start, never);
    const seen = screenOf(terminal);
    await seen.sees(/\$ $/m);
    seen.type("trap '' HUP; sleep 601 & while :; do sleep 1; done\n");
    await vi.waitFor(async () => expect((await processesOf(start.session)).join('\n')).toContain('sleep 601'));
    await terminal.hangUp();
    expect(await processesOf(start.session)).toEqual([]);
  });
});

describe('where there is no tmux', () => {
  it('the shell runs plain; left, it is ended', async () => {
    const start = startOf();
    const hidden = await hideTmux();
    try {
      const terminal = await execOf().open({ ...start, containerId: hidden.id }, never);
      const seen = screenOf(terminal);
      seen.type('echo "term=$TERM size=$(stty size)"\n');
      await seen.sees('term=xterm-256color size=24 80');
      expect(await terminal.leave()).toBe(false);
      await vi.waitFor(async () => expect(await boxes.processes(hidden.id)).toEqual([]));

      const exits = await execOf().open({ ...start, containerId: hidden.id }, never);
      const seenToExit = screenOf(exits);
      seenToExit.type('exit 6\n');
      await seenToExit.closed;
      expect(await exits.state()).toMatchObject({ running: false, exitCode: 6 });

      const dropped = await execOf().open({ ...start, containerId: hidden.id }, never);
      const seenToDrop = screenOf(dropped);
      seenToDrop.type('sleep 602\n');
      await vi.waitFor(async () => expect(await boxes.processes(hidden.id)).toContain('sleep 602'));
      drop(dropped);
      expect(await execOf().resume({ ...start, containerId: hidden.id }, never)).toBeNull();
      expect(await boxes.processes(hidden.id)).toEqual([]);
    } finally {
      await hidden.remove();
    }
  });
});

/** A box in whose PATH there is no tmux. */
async function hideTmux(): Promise<{ id: string; remove(): Promise<void> }> {
  const { Config } = await boxes.docker.getContainer(containerId).inspect();
  const container = await boxes.docker.createContainer({
    Image: Config.Image,
    Cmd: ['sleep', 'infinity'],
    User: 'root',
    Labels: Config.Labels,
    Env: ['LANG=C.UTF-8'],
    HostConfig: { Init: true },
  });
  await container.start();
  const exec = await container.exec({ Cmd: ['rm', '/usr/bin/tmux'], AttachStdout: true, Tty: true });
  const output = await exec.start({ Tty: true });
  for await (const _ of output);
  return { id: container.id, remove: () => container.remove({ force: true, v: true }) };
}
