/**
 * The last bytes of a container's output. Without a TTY an engine sends frames: one byte for the stream, three of zero,
 * four of length, then that many bytes.
 */
const headerLength = 8;
const tailBytes = 1024;

export interface OutputTail {
  push(chunk: Buffer): void;
  /** The last line that is not empty; '' when there was none. */
  lastLine(): string;
}

export function createOutputTail(): OutputTail {
  let header = Buffer.alloc(0);
  let left = 0;
  let tail = Buffer.alloc(0);
  return {
    push(chunk) {
      let rest = chunk;
      while (rest.length > 0) {
        if (left === 0) {
          const wanted = headerLength - header.length;
          header = Buffer.concat([header, rest.subarray(0, wanted)]);
          rest = rest.subarray(wanted);
          if (header.length < headerLength) return;
          left = header.readUInt32BE(4);
          header = Buffer.alloc(0);
        }
        const bytes = rest.subarray(0, left);
        rest = rest.subarray(left);
        left -= bytes.length;
        tail = Buffer.concat([tail, bytes]).subarray(-tailBytes);
      }
    },
    lastLine() {
      const lines = tail.toString('utf8').split(/[\r\n]+/);
      return lines.findLast((line) => line.trim() !== '')?.trim() ?? '';
    },
  };
}
