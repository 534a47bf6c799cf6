#!/usr/bin/env node
// Runs the CLI with a Node that reads TypeScript: this one where it can, else the project's own.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const main = new URL('./main.ts', import.meta.url);
const ownNode = fileURLToPath(new URL('../../node_modules/.bin/node', import.meta.url));

if (major >= 24 || (major === 22 && minor >= 18)) {
  await import(main.href);
} else if (existsSync(ownNode)) {
  const child = spawn(ownNode, [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' });
  // Ctrl-C reaches the child by itself; the others are handed on.
  process.on('SIGINT', () => {});
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`spoonbox: ${ownNode} cannot be run: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGKILL' ? 137 : 1);
  });
} else {
  process.stderr.write(
    `spoonbox: Node ${process.versions.node} cannot run this, and the project's own Node is not installed: run \`npm ci\` in the project first, or use Node 24\n`,
  );
  process.exitCode = 1;
}
