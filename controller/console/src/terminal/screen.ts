import { FitAddon } from '@xterm/addon-fit';
import { Unicode11Addon } from '@xterm/addon-unicode11';
import { WebLinksAddon } from '@xterm/addon-web-links';
import { WebglAddon } from '@xterm/addon-webgl';
import { Terminal } from '@xterm/xterm';
import { TerminalSize } from '#shared/terminal-protocol.ts';
import { isDark, onThemeChange } from '../ui/theme.ts';
import type { ProgramAsks } from './asking.ts';
import { terminalFonts } from './fonts.ts';
import { ligatureRanges } from './ligatures.ts';
import { palettes } from './palettes.ts';
import { readAloud } from './read-aloud.ts';

const scrollbackLines = 10_000;
/** A program cannot make the page keep more than this for the clipboard. */
const clipboardCharsMost = 256 * 1024;

export interface Screen {
  readonly terminal: Terminal;
  /** The size that fits its place; null while it is not seen. */
  fitting(): TerminalSize | null;
  dispose(): void;
}

/** xterm.js in this element, with fonts, colours and addons; its fonts must have been loaded. */
export function createScreen(
  element: HTMLElement,
  options: { readonly readOnly: boolean; readonly onAsk: (asks: ProgramAsks) => void },
): Screen {
  const openLink = (_event: MouseEvent, url: string): void => {
    if (URL.parse(url)?.protocol.match(/^https?:$/)) options.onAsk({ is: 'open', url });
  };
  const terminal = new Terminal({
    allowProposedApi: true, // Unicode versions
    cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
    disableStdin: options.readOnly,
    drawBoldTextInBrightColors: false,
    fontFamily: terminalFonts,
    fontSize: 13,
    linkHandler: { activate: openLink },
    minimumContrastRatio: 3,
    rescaleOverlappingGlyphs: true,
    screenReaderMode: readAloud.get(),
    scrollback: scrollbackLines,
    theme: palettes[isDark() ? 'dark' : 'light'],
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.loadAddon(new Unicode11Addon());
  terminal.unicode.activeVersion = '11';
  terminal.loadAddon(new WebLinksAddon(openLink));
  terminal.open(element);
  drawByWebgl(terminal);
  terminal.registerCharacterJoiner(ligatureRanges);
  terminal.parser.registerOscHandler(52, (data) => {
    // Who only looks has not run the program that asks.
    const text = options.readOnly ? null : copiedText(data);
    if (text !== null) options.onAsk({ is: 'copy', text });
    return true;
  });
  const stopTheme = onThemeChange(() => {
    terminal.options.theme = palettes[isDark() ? 'dark' : 'light'];
  });
  const stopReading = readAloud.subscribe(() => {
    terminal.options.screenReaderMode = readAloud.get();
  });
  // A glyph that was drawn before its font was there stays wrong until it is drawn anew.
  const redraw = (): void => terminal.clearTextureAtlas();
  document.fonts.addEventListener('loadingdone', redraw);
  return {
    terminal,
    fitting() {
      const size = TerminalSize.safeParse(fit.proposeDimensions());
      return size.success ? size.data : null;
    },
    dispose() {
      stopTheme();
      stopReading();
      document.fonts.removeEventListener('loadingdone', redraw);
      terminal.dispose();
    },
  };
}

/** Where there is no WebGL, or it is taken away, xterm.js draws with elements by itself. */
function drawByWebgl(terminal: Terminal): void {
  try {
    const webgl = new WebglAddon();
    webgl.onContextLoss(() => webgl.dispose());
    terminal.loadAddon(webgl);
  } catch {
    // no WebGL here
  }
}

/** Of OSC 52, what is to be copied. To read the clipboard is not granted, and not even asked about. */
function copiedText(data: string): string | null {
  const encoded = data.slice(data.indexOf(';') + 1);
  if (encoded === '?' || encoded.length > clipboardCharsMost) return null;
  try {
    const bytes = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    const text = new TextDecoder().decode(bytes);
    return text === '' ? null : text;
  } catch {
    return null;
  }
}
