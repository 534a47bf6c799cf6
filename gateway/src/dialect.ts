import { ClientMessage, type ServerMessage } from '#shared/terminal-protocol.ts';

/** How a socket speaks: what a text frame of the client means, and what the client sees of a message. */
export interface Dialect {
  readonly name: 'spoonbox.v1' | 'raw';
  /** whether this client acknowledges output */
  readonly acks: boolean;
  read(text: string): TextFrame;
  /** The frame to send (a string goes as text, bytes as binary); null = nothing to see. */
  write(message: ServerMessage): string | Buffer | null;
}

export type TextFrame =
  | { readonly is: 'input'; readonly bytes: Buffer }
  | { readonly is: 'message'; readonly message: ClientMessage }
  | { readonly is: 'refused'; readonly why: string };

/** As every client of ours writes it: these come for each 32 KiB, and need neither a parser nor a schema. */
const ack = /^\{"type":"ack","bytes":([1-9]\d{0,8})\}$/;

/** Text frames are JSON control messages, checked. */
export const protocolDialect: Dialect = {
  name: 'spoonbox.v1',
  acks: true,
  read(text) {
    const [, bytes] = ack.exec(text) ?? [];
    if (bytes !== undefined) return { is: 'message', message: { type: 'ack', bytes: Number(bytes) } };
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch {
      return { is: 'refused', why: 'a text frame is one JSON message; terminal input goes in binary frames' };
    }
    const parsed = ClientMessage.safeParse(json);
    if (parsed.success) return { is: 'message', message: parsed.data };
    const why = parsed.error.issues.map((issue) => `${issue.path.join('.') || 'message'}: ${issue.message}`).join('; ');
    return { is: 'refused', why };
  },
  write: (message) => JSON.stringify(message),
};

const dim = '\u001b[2m';
const plain = '\u001b[0m';
const clearLine = '\r\u001b[2K';

/**
 * For clients that know nothing of us, such as xterm.js's attach addon: text is input too, and what there is to tell is
 * printed into the terminal, dim. While the box is waited for, one line shows the latest status.
 */
export function rawDialect(): Dialect {
  let shown = '';
  return {
    name: 'raw',
    acks: false,
    read: (text) => ({ is: 'input', bytes: Buffer.from(text) }),
    write(message) {
      const before = shown === '' ? '' : clearLine;
      switch (message.type) {
        case 'status':
          if (message.message === shown) return null;
          shown = message.message;
          return Buffer.from(`${before}${dim}${printable(message.message)}${plain}`);
        case 'hello':
          shown = '';
          return before === '' ? null : Buffer.from(before);
        case 'notice':
        case 'warning':
        case 'error':
          shown = '';
          return line(before, message.message);
        case 'exit':
          shown = '';
          return message.reason === 'exited' ? null : line(before, message.message);
        case 'pong':
        case 'screen':
        case 'received':
        case 'size':
        case 'viewers':
          return null;
      }
    },
  };
}

function line(before: string, message: string): Buffer {
  return Buffer.from(`${before === '' ? '\r\n' : before}${dim}${printable(message)}${plain}\r\n`);
}

/** Messages may carry an engine's or a registry's words: no control character of theirs reaches the user's screen. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, ' ');
}
