import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Gateway } from '../../gateway/src/gateway.ts';
import type { UserName } from '#shared/identity.ts';
import { type Boxes, createBoxes, createGatewayWorld, type GatewayWorld } from './gateway-world.ts';
import { type ConnectOptions, open, type TestClient } from './test-client.ts';

let boxes: Boxes;
let world: GatewayWorld;
let gateway: Gateway;
const opened: TestClient[] = [];

beforeAll(async () => {
  boxes = await createBoxes();
  world = await createGatewayWorld(boxes.exec);
  gateway = await world.gateway();
});
afterEach(async () => {
  for (const client of opened.splice(0)) client.socket.terminate();
  await vi.waitFor(() => expect(gateway.sessions).toBe(0));
});
afterAll(async () => {
  await world?.close();
  await boxes?.close();
});

async function readyBox(): Promise<{ user: UserName; containerId: string }> {
  const user = world.newUser();
  const containerId = await boxes.start(user);
  await world.commit(user, { phase: 'ready', containerId });
  return { user, containerId };
}

async function attach(user: UserName, more: Partial<ConnectOptions> & Parameters<GatewayWorld['token']>[1] = {}) {
  const { session, mode, directory, ...options } = more;
  const claims = { ...(session && { session }), ...(mode && { mode }), ...(directory && { directory }) };
  const client = await open({ port: gateway.port, token: await world.token(user, claims), ...options });
  opened.push(client);
  return client;
}

describe('a terminal in a box', () => {
  it('is a login shell on a terminal of the right size, in the home, that echoes and tells its exit code', async () => {
    const { user, containerId } = await readyBox();
    const client = await attach(user, { size: { cols: 117, rows: 43 } });
    expect(await client.message('hello')).toMatchObject({ user, containerId, mode: 'rw' });
    client.type('stty size; echo "at=$PWD term=$TERM mark=$SPOONBOX_SESSION"; shopt login_shell\n');
    await client.sees(/43 117\r\n/);
    await client.sees(/at=\/home\/spoon term=xterm-256color mark=s\S+/);
    await client.sees(/login_shell\s+on/);
    client.type('exit 7\n');
    expect(await client.message('exit')).toMatchObject({ code: 7, reason: 'exited' });
    expect(await client.closed).toMatchObject({ code: 1000 });
    await vi.waitFor(async () => {
      const record = await world.store.read(user);
      expect(record).toMatchObject({ leases: [], sessions: [] });
      expect(record.desired?.lastActivityCause).toBe('detach');
    });
  });

  it('has its size before the first byte', async () => {
    const { user } = await readyBox();
    for (let round = 0; round < 5; round += 1) {
      const client = await attach(user, { size: { cols: 91 + round, rows: 31 } });
      // Typed before the shell is there: the first thing that it runs.
      client.type('stty size; exit\n');
      await client.closed;
      expect(client.text()).toContain(`31 ${91 + round}`);
    }
  });

  it('follows a resize', async () => {
    const { user } = await readyBox();
    const client = await attach(user);
    await client.message('hello');
    client.type("trap 'stty size' WINCH; echo trap-set\n");
    await client.sees('trap-set\r\n');
    client.tell({ type: 'resize', cols: 100, rows: 50 });
    client.tell({ type: 'resize', cols: 101, rows: 51 });
    await vi.waitFor(async () => {
      client.type('stty size\n');
      await client.sees('51 101', 2_000);
    });
  });

  it('starts in the directory that the token names, and in the home, with a word, where it is missing', async () => {
    const { user } = await readyBox();
    const first = await attach(user);
    first.type('mkdir -p "Code/a b\'c"; exit\n');
    await first.closed;
    const second = await attach(user, { directory: "Code/a b'c" });
    second.type('echo "at=$PWD."; exit\n');
    await second.sees("at=/home/spoon/Code/a b'c.");
    const third = await attach(user, { directory: 'Code/none' });
    third.type('echo "at=$PWD."; exit\n');
    await third.sees('Code/none is not there; this is the home');
    await third.sees('at=/home/spoon.');
  });

  it('passes UTF-8 that is cut anywhere', async () => {
    const { user } = await readyBox();
    const client = await attach(user);
    await client.message('hello');
    const text = 'grüße 你好 🦊🏳️‍🌈';
    for (const byte of Buffer.from(`printf '%s|' '${text}'\n`)) client.type(Buffer.from([byte]));
    await client.sees(`${text}|`);
  });

  it('takes a paste of 10 MB whole, also while all of it comes back', async () => {
    const { user } = await readyBox();
    const client = await attach(user);
    await client.message('hello');
    const paste = randomBytes(7_500_000).toString('base64');
    client.type(`stty raw -echo; printf '<be''gin>'; head -c ${paste.length}; printf '<e''nd>'\n`);
    await client.sees('<begin>');
    // All at once: the client's acks queue behind it, and the program reads on only while its output is taken.
    for (let at = 0; at < paste.length; at += 60_000) client.type(paste.slice(at, at + 60_000));
    await client.sees('<end>', 30_000);
    const back = client.text();
    expect(back.slice(back.indexOf('<begin>') + 7, back.lastIndexOf('<end>')) === paste).toBe(true);
  });

  it('gives all output of a program that ends while its client is slow, whatever its size', async () => {
    const { user } = await readyBox();
    const slow = async (lines: number): Promise<void> => {
      const client = await attach(user);
      await client.message('hello');
      client.type(`stty -echo; seq 1 ${lines}; exit\n`);
      await client.sees('\r\n1000\r\n');
      client.socket.pause();
      await delay(4_000); // the engine throws away what was not taken for 2 s; at some sizes only
      client.socket.resume();
      expect(await client.message('exit')).toMatchObject({ code: 0 });
      expect(client.text().match(/^\d+\r$/gm)?.length).toBe(lines);
    };
    await Promise.all([100_000, 400_000, ...Array.from({ length: 12 }, (_, i) => 202_000 + 1_000 * i)].map(slow));
  });

  it('keeps a terminal that floods a stalled client in bounds', async () => {
    const { user } = await readyBox();
    const client = await attach(user, { acks: false });
    await client.message('hello');
    client.type('yes spoonbox\n');
    await client.sees('spoonbox\r\nspoonbox');
    // It stalls once the window is full.
    let first = 0;
    await vi.waitFor(async () => {
      first = client.output().length;
      await delay(1_000);
      expect(client.output().length).toBe(first);
    });
    expect(first).toBeLessThan(600_000); // the window, and what was joined or under way
    // What was not acknowledged may be yet; then it goes on, and Ctrl-C is heard at once.
    client.tell({ type: 'ack', bytes: first });
    await vi.waitFor(() => expect(client.output().length).toBeGreaterThan(first));
    client.type('\u0003');
  });

  it('shows a raw socket bytes only, and takes its text for input', async () => {
    const { user } = await readyBox();
    const client = await attach(user, { raw: true, size: { cols: 66, rows: 22 } });
    client.socket.send('stty size; echo raw-$((40+2))\n');
    await client.sees('22 66');
    await client.sees('raw-42');
    client.socket.send('exit 3\n');
    expect(await client.closed).toMatchObject({ code: 1000, reason: 'the shell has ended with exit code 3' });
    expect(client.messages).toEqual([]);
  });

  it('drops the input of a read-only token, and says so once', async () => {
    const { user } = await readyBox();
    const client = await attach(user, { mode: 'ro' });
    await client.message('hello');
    await client.sees(/[$#%>❯]/);
    client.type('echo typed-anyway\n');
    client.type('more\n');
    await client.message('notice');
    await delay(500);
    expect(client.text()).not.toContain('typed-anyway');
    expect(client.messages.filter(({ type }) => type === 'notice')).toHaveLength(1);
  });
});

describe('the end of a terminal', () => {
  it('leaves no process in the box when the client goes', async () => {
    const { user, containerId } = await readyBox();
    for (const program of ['sleep 1000', 'cat', 'yes >/dev/null', 'sleep 1001 & sleep 1002', 'true']) {
      const client = await attach(user);
      await client.message('hello');
      client.type(`echo begins; ${program}\n`);
      await client.sees('begins\r\n');
      client.socket.terminate();
    }
    await vi.waitFor(async () => expect(await boxes.processes(containerId)).toEqual([]));
    await vi.waitFor(async () => expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] }));
  });

  it('ends a shell that ignores the hang-up, and one whose ctrl-^ came just before', async () => {
    const { user, containerId } = await readyBox();
    const deaf = await attach(user);
    await deaf.message('hello');
    deaf.type("trap '' HUP TERM; bash --norc -c \"trap '' HUP; echo de''af; while :; do sleep 1; done\"\n");
    await deaf.sees('deaf');
    deaf.socket.terminate();
    const held = await attach(user);
    await held.message('hello');
    held.type('echo he""ld\n\u001e');
    await held.sees('held');
    held.socket.terminate();
    await vi.waitFor(async () => expect(await boxes.processes(containerId)).toEqual([]));
  });

  it('leaves nothing of a client that goes at once, at any moment of the start', async () => {
    const { user, containerId } = await readyBox();
    for (let afterMs = 0; afterMs < 200; afterMs += 25) {
      const client = await open({ port: gateway.port, token: await world.token(user) });
      await delay(afterMs);
      client.socket.terminate();
    }
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
    expect(await boxes.processes(containerId)).toEqual([]);
  });

  it('leaves nothing of forty clients at once that drop at random', async () => {
    const { user, containerId } = await readyBox();
    const programs = ['yes', 'cat', 'sleep 900 & sleep 901', 'exit', 'bash', 'head -c 300000 /dev/urandom | base64'];
    const drop = async (i: number): Promise<void> => {
      const client = await open({ port: crowded.port, token: await world.token(user), acks: i % 3 > 0 });
      client.type(`${programs[i % programs.length]}\n`);
      await delay(Math.random() * 3_000);
      client.socket.terminate();
    };
    const crowded = await world.gateway({ limits: { sessionsPerUser: 60 } });
    await Promise.all(Array.from({ length: 40 }, (_, i) => drop(i)));
    await vi.waitFor(() => expect(crowded.sessions).toBe(0), { timeout: 40_000 });
    expect(await boxes.processes(containerId)).toEqual([]);
    expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] });
  });

  it('leaves a program that was told to outlive a hang-up, as any terminal does', async () => {
    const { user, containerId } = await readyBox();
    const client = await attach(user);
    await client.message('hello');
    client.type('nohup sleep 777 >/dev/null 2>&1 & echo sta""rted\n');
    await client.sees('started');
    client.socket.terminate();
    await vi.waitFor(() => expect(gateway.sessions).toBe(0));
    expect(await boxes.processes(containerId)).toEqual(['sleep 777']);
  });

  it('is told when an operator reaps the box', async () => {
    const { user } = await readyBox();
    const client = await attach(user);
    await client.message('hello');
    await world.store.wish(user, { wish: 'reap' }, 'an operator');
    await world.commit(user, { phase: 'reaping', step: 'stopping' }); // the controller's next step
    expect(await client.message('exit')).toMatchObject({ reason: 'reaped', code: null });
    expect(await client.closed).toMatchObject({
      code: 4410,
      reason: expect.stringContaining('only the home survives'),
    });
  });

  it('gets a new shell in the same socket when its box dies, and is told that only the home survived', async () => {
    const { user, containerId } = await readyBox();
    const client = await attach(user);
    await client.message('hello');
    client.type('echo fi""rst\n');
    await client.sees('first');
    await boxes.docker.getContainer(containerId).kill();
    expect(await client.message('notice')).toMatchObject({
      code: 'box-gone',
      message: expect.stringMatching(/only the home/i),
    });
    await boxes.docker.getContainer(containerId).remove({ force: true });
    const next = await boxes.start(user);
    await world.commit(user, { phase: 'provisioning', step: 'probing', message: 'the box is tried' });
    await client.message('status');
    await world.commit(user, { phase: 'ready', containerId: next });
    expect(await client.message('hello', 1)).toMatchObject({ containerId: next });
    client.type('echo sec""ond\n');
    await client.sees('second');
    expect((await world.store.read(user)).sessions).toMatchObject([{ containerId: next }]);
  });

  it('is orderly when the gateway restarts', async () => {
    const other = await world.gateway();
    const { user, containerId } = await readyBox();
    const client = await open({ port: other.port, token: await world.token(user) });
    await client.message('hello');
    client.type('sleep 500\n');
    await vi.waitFor(async () => expect(await boxes.processes(containerId)).toContain('sleep 500'));
    const drained = other.drain(10_000);
    expect(await client.message('exit')).toMatchObject({ reason: 'restarting' });
    expect(await client.closed).toMatchObject({ code: 1012 });
    await drained;
    expect(await boxes.processes(containerId)).toEqual([]);
    expect(await world.store.read(user)).toMatchObject({ leases: [], sessions: [] });
  });
});

describe('waiting for a box', () => {
  it('tells what the box does, with the progress of the pull, until its shell is there', async () => {
    const user = world.newUser();
    const client = await attach(user);
    await client.message('status');
    const progress = { image: 'x', doneBytes: 1, totalBytes: 4, layersDone: 0, layers: 2 };
    await world.commit(user, { phase: 'provisioning', step: 'pulling', message: 'pulling x', progress });
    expect(await client.message('status', 1)).toMatchObject({ step: 'pulling', progress });
    const taken = {
      type: 'NameTaken',
      status: 'True',
      reason: 'ForeignContainer',
      message: 'a container that is not ours has the name',
      since: 0,
    } as const;
    await world.commit(user, { phase: 'failed', message: 'cannot start', conditions: [taken] });
    expect(await client.message('status', 2)).toMatchObject({
      message: 'cannot start: a container that is not ours has the name',
    });
    const containerId = await boxes.start(user);
    await world.commit(user, { phase: 'ready', containerId });
    expect(await client.message('hello')).toMatchObject({ containerId });
  });

  it('tries again in the next box where this one is gone, and goes on with what was typed meanwhile', async () => {
    const user = world.newUser();
    await world.commit(user, { phase: 'ready', containerId: 'f'.repeat(64) });
    const client = await attach(user);
    client.type('echo typed-""ahead\n');
    expect(await client.message('notice')).toMatchObject({ code: 'start-again' });
    await world.commit(user, { phase: 'ready', containerId: await boxes.start(user) });
    await client.sees('typed-ahead');
  });
});

describe('without Redis', () => {
  it('open terminals go on, new ones are told to try later, and all is as before when it is back', async () => {
    const own = await createGatewayWorld(boxes.exec);
    try {
      const served = await own.gateway({ limits: { renewEveryMs: 500, renewRetryMs: 200, registerEveryMs: 500 } });
      const user = own.newUser();
      const containerId = await boxes.start(user);
      await own.commit(user, { phase: 'ready', containerId });
      const client = await open({ port: served.port, token: await own.token(user) });
      await client.message('hello');
      await own.redis.stop();
      client.type('echo still-""here\n');
      await client.sees('still-here');
      const late = await open({ port: served.port, token: await own.token(user) });
      expect(await late.closed).toMatchObject({ code: 1013 });
      await vi.waitFor(async () => expect((await fetch(`http://127.0.0.1:${served.port}/readyz`)).status).toBe(503));
      await own.redis.restart();
      await own.redis.flush(); // emptied: the lease and the record are made again
      await vi.waitFor(async () => expect((await own.store.read(user)).leases).toHaveLength(1));
      await vi.waitFor(async () => expect((await fetch(`http://127.0.0.1:${served.port}/readyz`)).status).toBe(200));
      client.type('exit\n');
      expect(await client.closed).toMatchObject({ code: 1000 });
      await vi.waitFor(async () => expect(await own.store.read(user)).toMatchObject({ leases: [], sessions: [] }));
    } finally {
      await own.close();
    }
  });
});
