/** One event of a `text/event-stream`. */
export interface ServerEvent {
  readonly event: string;
  readonly id: string;
  readonly data: string;
}

/** An event larger than this is none of ours. */
const maxEventChars = 4 * 1024 * 1024;

/** Reads server-sent events as the standard says, of which comments and the three fields are used here. */
export async function* readEvents(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const event = eventOf(rest.slice(0, end));
      rest = rest.slice(end + 2);
      if (event) yield event;
    }
    if (rest.length > maxEventChars) throw new Error('the server sent an event larger than 4 MiB');
  }
}

function eventOf(block: string): ServerEvent | null {
  const fields = { event: 'message', id: '', data: '' };
  for (const line of block.split('\n')) {
    const [, name, value] = /^(event|id|data): ?(.*)$/.exec(line) ?? [];
    if (name === 'event' || name === 'id') fields[name] = value ?? '';
    else if (name === 'data') fields.data += fields.data === '' ? (value ?? '') : `\n${value}`;
  }
  return fields.data === '' ? null : fields;
}
