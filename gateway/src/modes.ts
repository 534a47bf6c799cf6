const esc = 0x1b;
const questionMark = 0x3f;
/** The longest sequence that is looked for: several modes at once, as programs set them at their start. */
const longest = 32;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what is looked for
const setting = /^\u001b\[\?([\d;]{1,28})([hl])/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what is looked for
const begun = /\u001b(?:\[(?:\?[\d;]{0,28})?)?$/;

/**
 * The terminal modes that output has set (alternate screen, application keys, bracketed paste, mouse), remembered when the
 * output itself is dropped: a screen that is made from the rest would be another without them.
 */
export class ModeTracker {
  readonly #set = new Map<string, 'h' | 'l'>();
  /** a sequence that has begun and not ended at the end of what was looked at */
  #tail = '';

  look(bytes: Buffer): void {
    const seam = this.#tail === '' ? '' : this.#tail + bytes.toString('latin1', 0, longest);
    if (seam !== '') this.#learn(seam);
    // For a single byte, because that is four times as fast as for several.
    for (let at = bytes.indexOf(esc); at !== -1; at = bytes.indexOf(esc, at + 1)) {
      if (bytes[at + 2] === questionMark) this.#learn(bytes.toString('latin1', at, at + longest));
    }
    const end = this.#tail + bytes.toString('latin1', Math.max(0, bytes.length - longest));
    this.#tail = begun.exec(end)?.[0] ?? '';
  }

  /** What brings a terminal that was just reset into these modes. */
  sequences(): string {
    return [...this.#set].map(([mode, to]) => `\u001b[?${mode}${to}`).join('');
  }

  #learn(text: string): void {
    const [, modes, to] = setting.exec(text) ?? [];
    if (modes === undefined) return;
    for (const mode of modes.split(';')) {
      this.#set.delete(mode);
      // As many as terminals know; whoever makes up more loses the oldest.
      if (this.#set.size >= 64) this.#set.delete(this.#set.keys().next().value ?? '');
      this.#set.set(mode, to === 'h' ? 'h' : 'l');
    }
  }
}
