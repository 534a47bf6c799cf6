import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copyTo } from '../../controller/cli/copy/copy-to.ts';
import { type Spoonbox, spoonboxAt } from '../../controller/sdk/connect.ts';

/** `cp` into a box whose connection may end early; the box is a folder here, with the sh and the tar of this machine. */

let here: string;
let box: string;
beforeEach(async () => {
  here = await mkdtemp(join(tmpdir(), 'spoonbox-here-'));
  box = await mkdtemp(join(tmpdir(), 'spoonbox-box-'));
});
afterEach(async () => {
  await rm(here, { recursive: true });
  await rm(box, { recursive: true });
});

/** The seal's header, and the two blocks that end a tar. */
const tailBytes = 3 * 512;

function installation(cutBytes: number): Spoonbox {
  return {
    ...spoonboxAt({ server: 'http://127.0.0.1:1', token: 'token', gateway: null }),
    async exec(_user, [program = '', ...args], { stdin, stderr } = {}) {
      const child = spawn(program, args, { cwd: box });
      child.stderr.on('data', (chunk) => stderr?.write(chunk));
      const bytes = stdin instanceof Readable ? await buffer(stdin) : Buffer.alloc(0);
      child.stdin.on('error', () => {}); // it may have refused before it has read all
      child.stdin.end(bytes.subarray(0, bytes.length - cutBytes));
      const [code] = await once(child, 'close');
      return { exitCode: Number(code), stdout: '', stderr: '' };
    },
  };
}

const copy = (cutBytes: number): Promise<void> => {
  const of = { files: [join(here, 'first'), join(here, 'second')], user: 'alice', path: '', recursive: false };
  return copyTo(installation(cutBytes), of, () => {}, new AbortController().signal);
};

test('a stream that was cut between two entries puts nothing in place', async () => {
  for (const name of ['first', 'second']) await writeFile(join(here, name), name);
  await expect(copy(tailBytes)).rejects.toThrow('the copy broke off before its end');
  expect(await readdir(box)).toEqual([]);
  await copy(0);
  expect((await readdir(box)).sort()).toEqual(['first', 'second']);
});
