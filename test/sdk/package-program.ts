import { connect, type ExecResult, LeaseLost } from 'spoonbox';
import { openTerminal, type TerminalOptions } from 'spoonbox/terminal';

/** A program of somebody else's, for `package.test.ts`: it is compiled against the installed package. */

const [user = ''] = process.argv.slice(2);
const terminal: Pick<TerminalOptions, 'size'> = { size: { cols: 80, rows: 24 } };
let result: ExecResult | null = null;
{
  await using box = await connect().lease({ user, holder: 'program', kind: 'job', ttlMs: 30_000 });
  box.lost.addEventListener('abort', () => {
    const { reason } = box.lost;
    if (reason instanceof LeaseLost) console.error(reason.reason);
  });
  const view = await box.ready({ onProgress: ({ message }) => console.error(message) });
  const names: string[] = view.leases.map(({ id }) => id);
  if (!names.includes(box.id)) throw new Error(`${box.id} is not among ${names}`);
  result = await box.exec(['sh', '-c', 'echo "in $HOME"; echo err >&2; exit 7']);
}
if (terminal.size.cols !== 80) throw new Error('the size is not as it was given');
console.log(JSON.stringify({ ...result, openTerminal: typeof openTerminal }));
