/**
 * The last bytes of a container's output. Without a TTY an engine sends frames: one byte for the stream, three of zero,
 * four of length, then that many bytes.
 */
const headerLength = 8;
const errorStream = 2;
const tailBytes = 1024;

export interface OutputTail {
  push(chunk: Buffer): void;
  /** The last line that is not empty, of the errors where there are any; '' when there was none. */
  lastLine(): string;
}

/** Errors are kept apart, because an engine does not keep the order between the two streams. */
export function createOutputTail(): OutputTail {
  let errors = Buffer.alloc(0);
  let others = Buffer.alloc(0);
  const push = createFrameReader((bytes, isError) => {
    if (isError) errors = tailOf(errors, bytes);
    else others = tailOf(others, bytes);
  });
  return { push, lastLine: () => lastLineOf(errors) || lastLineOf(others) };
}

/** Takes the stream as it comes, and passes on what the frames carry. */
export function createFrameReader(onBytes: (bytes: Buffer, isError: boolean) => void): (chunk: Buffer) => void {
  let header = Buffer.alloc(0);
  let isError = false;
  let left = 0;
  return (chunk) => {
    let rest = chunk;
    while (rest.length > 0) {
      if (left === 0) {
        const wanted = headerLength - header.length;
        header = Buffer.concat([header, rest.subarray(0, wanted)]);
        rest = rest.subarray(wanted);
        if (header.length < headerLength) return;
        isError = header.readUInt8(0) === errorStream;
        left = header.readUInt32BE(4);
        header = Buffer.alloc(0);
      }
      const bytes = rest.subarray(0, left);
      rest = rest.subarray(left);
      left -= bytes.length;
      onBytes(bytes, isError);
    }
  };
}

function tailOf(before: Buffer, bytes: Buffer): Buffer<ArrayBuffer> {
  return Buffer.concat([before, bytes]).subarray(-tailBytes);
}

function lastLineOf(bytes: Buffer): string {
  const lines = bytes.toString('utf8').split(/[\r\n]+/);
  return lines.findLast((line) => line.trim() !== '')?.trim() ?? '';
}
