/** JetBrains Mono for text and ligatures; what it does not have, powerline and icons, comes from the symbols of Nerd Fonts. */
export const terminalFonts = "'JetBrains Mono', 'Spoonbox Symbols', ui-monospace, Menlo, Consolas, monospace";

const samples = [
  "14px 'JetBrains Mono'",
  "bold 14px 'JetBrains Mono'",
  "italic 14px 'JetBrains Mono'",
  "14px 'Spoonbox Symbols'",
] as const;
/** A branch sign of powerline's, and a letter. */
const sampleText = 'a\ue0a0';
const withinMs = 3_000;

/** A cell is measured once: not before the font is there, but a terminal without it is better than none. */
export async function loadFonts(): Promise<void> {
  const loaded = Promise.all(samples.map((font) => document.fonts.load(font, sampleText)));
  const late = new Promise((resolve) => setTimeout(resolve, withinMs));
  await Promise.race([loaded, late]).catch(() => undefined);
}
