import type Docker from 'dockerode';
import { boxImage } from '../support/docker.ts';

/** Programs that a box and its tests need; everything else is left out, so that the image is a few MB and can be pulled in a test. */
const programs =
  'bash sh stty cat sleep mkdir stat chown ls rm touch cut grep kill setsid timeout head tail sha256sum readlink dirname mv cp wc tr chmod';

const pack = `set -e
cd /
files=$(for name in ${programs}; do command -v "$name"; done | sort -u | grep ^/)
libs=$(for file in $files; do ldd "$file"; done | grep -o '/[^ ]*' | sort -u)
locale=$(find /usr/lib/locale/C.utf8 -type f)
tar -chf /tmp/image.tar --no-recursion tmp $files $libs $locale /bin/sh /bin/bash 2>/dev/null`;

/** The file system of a small image with a shell, made of the box image's own files, as a tar. */
export async function smallImage(docker: Docker): Promise<Buffer> {
  const container = await docker.createContainer({
    Image: boxImage,
    User: '0',
    Entrypoint: ['/bin/sh', '-c', pack],
    Cmd: [],
    Labels: { 'dev.spoonbox.test': 'small-image' },
  });
  try {
    await container.start();
    const { StatusCode } = await container.wait();
    if (StatusCode !== 0) throw new Error(`packing a small image ended with ${StatusCode}`);
    const chunks: Buffer[] = [];
    for await (const chunk of await container.getArchive({ path: '/tmp/image.tar' })) chunks.push(Buffer.from(chunk));
    return firstFileOf(Buffer.concat(chunks));
  } finally {
    await container.remove({ force: true, v: true });
  }
}

/** The engine hands a file out as a tar with that one file in it. */
function firstFileOf(tar: Buffer): Buffer {
  const size = Number.parseInt(tar.toString('latin1', 124, 136), 8);
  return tar.subarray(512, 512 + size);
}
