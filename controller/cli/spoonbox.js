#!/usr/bin/env node
// Runs the CLI with a Node that reads TypeScript: this one where it can, else the project's own.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as nodeModule from 'node:module';
import { constants } from 'node:os';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const main = new URL('./main.ts', import.meta.url);
const ownNode = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));

// Compiling and stripping types is half of a start; a Node that cannot keep the result does it each time.
nodeModule.enableCompileCache?.();

if (major >= 24 || (major === 22 && minor >= 18)) {
  await import(main.href);
} else if (existsSync(ownNode)) {
  const child = spawn(ownNode, [fileURLToPath(main), ...process.argv.slice(2)], {
    // By its channel the child knows when this process is there no more.
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  // Ctrl-C at a terminal reaches the child by itself; all else is handed on.
  const atTerminal = [0, 1, 2].some((stream) => isatty(stream));
  process.on('SIGINT', () => {
    if (!atTerminal) child.kill('SIGINT');
  });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`spoonbox: ${ownNode} cannot be run: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
} else {
  process.stderr.write(
    `spoonbox: Node ${process.versions.node} cannot run this, and the project's own Node is not installed: run \`npm ci\` in the project first, or use Node 24\n`,
  );
  process.exitCode = 1;
}
