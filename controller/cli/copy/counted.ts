import { pipeline, type Readable, Transform } from 'node:stream';

/** The same bytes, and how many there were so far. An error of the source is this stream's too, and its end is the source's. */
export function counted(source: Readable, onProgress: (bytes: number) => void): Readable {
  let bytes = 0;
  const through = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      onProgress(bytes);
      done(null, chunk);
    },
  });
  // Whoever reads is told of an error by the stream itself.
  return pipeline(source, through, () => {});
}
