import { Transform, type Readable } from 'node:stream';

/** The same bytes, and how many there were so far. An error of the source is this stream's too. */
export function counted(source: Readable, onProgress: (bytes: number) => void): Readable {
  let bytes = 0;
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      onProgress(bytes);
      done(null, chunk);
    },
  });
  source.on('error', (error) => through.destroy(error));
  return source.pipe(through);
}
