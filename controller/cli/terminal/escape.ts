/** What the escape keys ask for. Bytes between are the shell's. */
export type Typed =
  | { readonly type: 'bytes'; readonly bytes: Buffer }
  | { readonly type: 'leave' }
  | { readonly type: 'help' };

const tilde = 0x7e;
const dot = 0x2e;
const question = 0x3f;
const lineEnds = new Set([0x0d, 0x0a]);

export const escapeHelp = `Keys of spoonbox, at the start of a line:
  ~.   leave: the shell is hung up, the box stays for its idle time
  ~?   this help
  ~~   a single ~`;

/**
 * The escape keys of ssh: `~` at the start of a line waits for the next key. Keeps its place between chunks, for a key
 * press may come in a chunk of its own, and a paste in several.
 */
export function createEscapeFilter(): (chunk: Buffer) => Typed[] {
  let atLineStart = true;
  let pending = false;

  return (chunk) => {
    const typed: Typed[] = [];
    let bytes: number[] = [];
    const flush = (): void => {
      if (bytes.length > 0) typed.push({ type: 'bytes', bytes: Buffer.from(bytes) });
      bytes = [];
    };
    for (const byte of chunk) {
      if (pending) {
        pending = false;
        if (byte === dot || byte === question) {
          flush();
          typed.push({ type: byte === dot ? 'leave' : 'help' });
          continue;
        }
        bytes.push(tilde);
        atLineStart = false;
        if (byte === tilde) continue;
      } else if (byte === tilde && atLineStart) {
        pending = true;
        continue;
      }
      bytes.push(byte);
      atLineStart = lineEnds.has(byte);
    }
    flush();
    return typed;
  };
}
