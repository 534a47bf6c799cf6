import { channel } from '#shared/exec-protocol.ts';

const headerBytes = 8;

/**
 * Takes apart what an exec without a terminal sends: frames of a header (stream, 0, 0, 0, length as 32 bits) and bytes, cut
 * anywhere. What comes out begins with the byte of its channel, which is what a client is sent: 1 stdout, 2 stderr.
 *
 * The bytes are not copied where header and bytes came together: the channel takes the place of the header's last byte, so
 * the chunks that are given must not be used otherwise.
 */
export class OutputFrames {
  readonly #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #bodyLeft = 0;

  take(chunk: Buffer): Buffer[] {
    const taken: Buffer[] = [];
    let at = 0;
    while (at < chunk.length) {
      if (this.#bodyLeft === 0) {
        const filledBefore = this.#headerFilled;
        const end = Math.min(chunk.length, at + headerBytes - filledBefore);
        chunk.copy(this.#header, filledBefore, at, end);
        this.#headerFilled += end - at;
        at = end;
        if (this.#headerFilled < headerBytes) return taken;
        this.#headerFilled = 0;
        this.#bodyLeft = this.#header.readUInt32BE(4);
        const bodyEnd = Math.min(chunk.length, at + this.#bodyLeft);
        if (bodyEnd === at) continue;
        chunk[at - 1] = this.#channel();
        taken.push(chunk.subarray(at - 1, bodyEnd));
        this.#bodyLeft -= bodyEnd - at;
        at = bodyEnd;
      } else {
        const end = Math.min(chunk.length, at + this.#bodyLeft);
        taken.push(Buffer.concat([Buffer.of(this.#channel()), chunk.subarray(at, end)]));
        this.#bodyLeft -= end - at;
        at = end;
      }
    }
    return taken;
  }

  #channel(): number {
    return this.#header[0] === channel.stderr ? channel.stderr : channel.stdout;
  }
}
