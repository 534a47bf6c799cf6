import { it } from 'vitest';
import xterm from '@xterm/headless';
import { systemClock } from '#shared/clock.ts';
import { UserName } from '#shared/identity.ts';
import { createLogger } from '#shared/log.ts';
import { createDockerExec } from '../../gateway/src/exec/docker-exec.ts';
import { createBoxes } from './gateway-world.ts';
const log = createLogger({ name: 'exec', level: 'silent' });
it('times', async () => {
  const boxes = await createBoxes();
  try {
  const containerId = await boxes.start(UserName.parse(`times-${process.pid}`));
  const never = new AbortController().signal;
  const ex = createDockerExec({ connect: async () => boxes.docker, clock: systemClock, log });
  for (const [n, pause] of [[3000,0],[3000,0],[3000,0], [3000, 1500], [200000, 0], [200000, 1500], [200000, 3000]] as const) for (let i = 0; i < 3; i++) { await new Promise((r) => setTimeout(r, 200));
    const start = { containerId, session: `t${n}${i}${Math.random().toString(36).slice(2)}`, size: { cols: 80, rows: 24 }, directory: null, persist: 'tmux' as const };
    const screen = new xterm.Terminal({ cols: 80, rows: 24, scrollback: 300000, allowProposedApi: true });
    const a = await ex.open(start, never);
    let bytes = 0;
    await new Promise<void>((r) => { let s = ''; a.stream.on('data', (b) => { bytes += b.length; screen.write(b);  s += b; if (s.includes('$ ')) r(); }); });
    const closed = new Promise((r) => a.stream.once('close', r));
    a.stream.write(`seq 1 ${n}; exit 3\n`);
    if (pause) { await new Promise((r) => setTimeout(r, 20)); a.stream.pause(); await new Promise((r) => setTimeout(r, pause)); a.stream.resume(); }
    await closed; await new Promise<void>((r) => screen.write('', r));
    const { active } = screen.buffer; const lines = Array.from({ length: active.length }, (_, y) => active.getLine(y)?.translateToString(true) ?? '').filter((l) => l !== '');
    const nums = lines.filter((l) => /^\d+$/.test(l)).map(Number);
    let ordered = true; for (let k = 1; k < nums.length; k++) if (nums[k]! <= nums[k-1]!) ordered = false;
    console.log(`n=${n} pause=${pause} bytes=${bytes} lines=${nums.length} ordered=${ordered} last=${JSON.stringify(lines.slice(-3))} code=${(await a.state()).exitCode}`);
  }
  } finally { await boxes.close(); }
}, 100000);
