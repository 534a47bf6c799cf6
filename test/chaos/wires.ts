import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const chain = 'CUTS';

export type Direction = 'both' | 'there' | 'back';

/**
 * The wires between the parts. Each wire has an address of its own at its server's end (all of 127/8 is this machine), so
 * that the packets of one wire can be told from all others, and dropped without a word to anybody: no reset, no refusal, as
 * with a cable that was pulled.
 */
export const wires = {
  'controller-1 to redis': '127.77.1.1',
  'controller-2 to redis': '127.77.1.2',
  'gateway-1 to redis': '127.77.1.3',
  'gateway-2 to redis': '127.77.1.4',
  'controller-1 to engine': '127.77.2.1',
  'controller-2 to engine': '127.77.2.2',
  'gateway-1 to engine': '127.77.2.3',
  'gateway-2 to engine': '127.77.2.4',
  'clients to gateway-1': '127.77.3.1',
  'clients to gateway-2': '127.77.3.2',
  'clients to controller-1': '127.77.4.1',
  'clients to controller-2': '127.77.4.2',
} as const;
export type Wire = keyof typeof wires;

export function isWire(name: string): name is Wire {
  return name in wires;
}

/** Once, before any cut. */
export async function layWires(): Promise<void> {
  await iptables('--new-chain', chain);
  await iptables('--insert', 'INPUT', '--jump', chain);
}

/** Drops what goes towards the server, what comes back, or both. Also what belongs to connections that stand. */
export async function cut(wire: Wire, direction: Direction): Promise<void> {
  for (const rule of rulesOf(wire, direction)) await iptables('--append', chain, ...rule);
}

export async function mend(wire: Wire, direction: Direction): Promise<void> {
  for (const rule of rulesOf(wire, direction)) await iptables('--delete', chain, ...rule);
}

function rulesOf(wire: Wire, direction: Direction): string[][] {
  const there = ['--destination', wires[wire], '--jump', 'DROP'];
  const back = ['--source', wires[wire], '--jump', 'DROP'];
  return direction === 'both' ? [there, back] : [direction === 'there' ? there : back];
}

async function iptables(...args: string[]): Promise<void> {
  // The engine changes rules too: whoever comes second waits.
  await run('iptables', ['--wait', ...args]);
}
