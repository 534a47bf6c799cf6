import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { joinSockets } from './own-network.ts';

/** Runs in the browser's network: relays a port there to a proxy outside, and runs the browser. */

const [port, proxy, browser, ...args] = process.argv.slice(2);
if (port === undefined || proxy === undefined || browser === undefined)
  throw new Error('usage: own-network-inside.ts PORT PROXY BROWSER [ARGUMENT…]');

const relay = createServer({ allowHalfOpen: true }, (socket) => {
  joinSockets(socket, connect({ path: proxy, allowHalfOpen: true }));
});
await once(relay.listen(Number(port), '127.0.0.1'), 'listening');
// 3 and 4 are the pipes over which the browser is driven.
const running = spawn(browser, args, { stdio: [0, 1, 2, 3, 4] });
const [code] = await once(running, 'exit');
process.exit(code ?? 1);
