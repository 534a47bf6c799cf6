import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { exitConfig } from '#shared/faults.ts';
import { smallImage } from '../e2e/small-image.ts';
import { dockerodeAt } from '../support/docker.ts';
import { startProcess } from '../support/process.ts';
import { tarOf } from '../support/registry.ts';
import { journalVariable, ordersVariable } from './orders.ts';

/** What all worlds of a run share. */
export interface Supplies {
  /** what boxes are made from: a few MB with a shell */
  readonly image: string;
  /** The same file system with a file of its own in it, as a tar: no layer of it is on the engine. */
  variant(): Buffer;
  [Symbol.asyncDispose](): Promise<void>;
}

export const failpointMain = new URL('failpoint-main.ts', import.meta.url).pathname;

const tarEndBytes = 1024;

export async function openSupplies(): Promise<Supplies> {
  const docker = await dockerodeAt(process.env.DOCKER_HOST ?? null);
  const tar = await smallImage(docker);
  const repo = `spoonbox-test/crash-${randomBytes(4).toString('hex')}`;
  await buffer(await docker.importImage(Readable.from([tar]), { repo, tag: '1' }));
  const image = `${repo}:1`;
  await fillCache();
  return {
    image,
    variant() {
      const own = tarOf('variant', randomBytes(16));
      return Buffer.concat([own.subarray(0, -tarEndBytes), tar]);
    },
    async [Symbol.asyncDispose]() {
      await docker.getImage(image).remove({ force: true });
    },
  };
}

/** A process that is killed writes nothing to Node's compile cache; one whose configuration is refused has loaded everything, and does. */
async function fillCache(): Promise<void> {
  const settings = { [ordersVariable]: '-', [journalVariable]: '-' };
  const code = await startProcess(failpointMain, settings).exited;
  if (code !== exitConfig) throw new Error(`a controller without a configuration ended with ${code}`);
}
