import { createHash, randomBytes } from 'node:crypto';
import { createServer, type Server, type ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

/** A registry on this machine with one image of one slow layer; engines trust 127.0.0.0/8 without TLS. */
export interface TestRegistry {
  readonly reference: string;
  readonly layerBytes: number;
  close(): Promise<void>;
}

const chunkBytes = 256 * 1024;

/** `tar` is the image's whole file system; without it, so many chunks of noise, which nothing can run in. */
export async function createTestRegistry(
  options: { chunks: number; msPerChunk: number } | { tar: Buffer; msPerChunk: number },
): Promise<TestRegistry> {
  // Noise cannot be compressed, and the layer is not: it is about as long as what is in it.
  const tar = 'tar' in options ? options.tar : tarOf('data', randomBytes(options.chunks * chunkBytes));
  const layer = gzipSync(tar, { level: 0 });
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digest(tar)] },
    }),
  );
  const image = 'application/vnd.docker';
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${image}.distribution.manifest.v2+json`,
      config: { mediaType: `${image}.container.image.v1+json`, size: config.length, digest: digest(config) },
      layers: [{ mediaType: `${image}.image.rootfs.diff.tar.gzip`, size: layer.length, digest: digest(layer) }],
    }),
  );

  const server = createServer((request, response) => {
    const path = request.url ?? '';
    if (path === '/v2/') return void response.end('{}');
    if (path.includes('/manifests/') && (path.endsWith('/1') || path.endsWith(digest(manifest)))) {
      response.setHeader('Content-Type', `${image}.distribution.manifest.v2+json`);
      response.setHeader('Docker-Content-Digest', digest(manifest));
      response.setHeader('Content-Length', manifest.length);
      return void response.end(request.method === 'HEAD' ? undefined : manifest);
    }
    if (path.endsWith(digest(config))) return void response.end(config);
    if (path.endsWith(digest(layer))) return void sendSlowly(response, layer, options.msPerChunk);
    response.statusCode = 404;
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    reference: `127.0.0.1:${portOf(server)}/spoonbox/slow:1`,
    layerBytes: layer.length,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The port that a server listens on. */
export function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server does not listen on a port');
  return address.port;
}

/** A tar archive of one regular file. */
export function tarOf(name: string, content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write('0000755\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        0', 148);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  const padding = Buffer.alloc((512 - (content.length % 512)) % 512);
  return Buffer.concat([header, content, padding, Buffer.alloc(1024)]);
}

async function sendSlowly(response: ServerResponse, bytes: Buffer, msPerChunk: number): Promise<void> {
  response.setHeader('Content-Length', bytes.length);
  for (let at = 0; at < bytes.length && !response.destroyed; at += chunkBytes) {
    response.write(bytes.subarray(at, at + chunkBytes));
    await wait(msPerChunk);
  }
  response.end();
}

function digest(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
