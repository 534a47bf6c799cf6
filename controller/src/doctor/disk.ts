import { statfs } from 'node:fs/promises';
import { failure, type Finding, ok, warning } from '#shared/finding.ts';
import { humanBytes } from '#shared/human-bytes.ts';
import { defaultClassOf } from '../leftovers/leftovers.ts';
import type { DiskRoom } from '../runtime/host-port.ts';
import type { Check } from './check.ts';

const gib = 1024 ** 3;
const failBelow = { share: 0.03, bytes: gib };
const warnBelow = { share: 0.1, bytes: 5 * gib };

export const homesDiskCheck: Check = {
  name: 'disk of homes',
  looksAt:
    'Room where the homes are: below 10 % or 5 GiB is a warning, below 3 % or 1 GiB a failure. The same shares of inodes.',
  async run({ config }) {
    const { bsize, bavail, blocks, ffree, files } = await statfs(config.workdir);
    const room = { freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeFiles: ffree, totalFiles: files };
    return [roomIn(homesDiskCheck.name, room, 'make room, or move the work directory')];
  },
};

export const engineDiskCheck: Check = {
  name: 'disk of the engine',
  looksAt: 'The same where the engine keeps images and containers, from inside a one-shot container.',
  async run(deps, signal) {
    const check = engineDiskCheck.name;
    const engine = await deps.engine();
    const { image } = defaultClassOf(deps.classes);
    const { dataRoot } = await engine.about(signal);
    const look = `look with \`df ${dataRoot}\` on the Docker host`;
    if ((await engine.image(image, signal)).state === 'absent') {
      return [warning(check, `not checked: the image ${image} is not there`, look)];
    }
    const room = await engine.dataRoom(image, signal);
    if (room === null) return [warning(check, `not checked: ${image} has no \`stat -f\``, look)];
    const mend = `\`docker system df\` says what is in ${dataRoot}; \`docker image prune\` removes what no box uses`;
    return [roomIn(check, room, mend)];
  },
};

/** The worse of bytes and inodes decides. */
export function roomIn(
  check: string,
  { freeBytes, totalBytes, freeFiles, totalFiles }: DiskRoom,
  mend: string,
): Finding {
  const share = freeBytes / totalBytes;
  // Some file systems do not count them.
  const fileShare = totalFiles === 0 ? 1 : freeFiles / totalFiles;
  const found = `${humanBytes(freeBytes)} of ${humanBytes(totalBytes)} free${fileShare < warnBelow.share ? `, and ${Math.floor(fileShare * 100)} % of its inodes` : ''}`;
  const isBelow = (limit: typeof failBelow): boolean =>
    share < limit.share || freeBytes < limit.bytes || fileShare < limit.share;
  if (isBelow(failBelow)) return failure(check, found, mend);
  return isBelow(warnBelow) ? warning(check, found, mend) : ok(check, found);
}
