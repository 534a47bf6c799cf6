/** What a program in the box asks of the person at the page: never done without a yes. */
export type ProgramAsks =
  | { readonly is: 'copy'; readonly text: string }
  | { readonly is: 'open'; readonly url: string };

/** What a terminal's programs want of the person. */
export interface Asking {
  /** said in one line, which is in nobody's way; null = nothing */
  readonly wanted: ProgramAsks | null;
  /** what the person is deciding on right now; nothing else takes its place under their hand */
  readonly decided: ProgramAsks | null;
  /** a no was said: nothing more is asked until the person types, for a program may ask a thousand times a second */
  readonly isMuted: boolean;
}

export type AskingEvent =
  /** a program asked; only a click of the person makes the page ask about a link */
  | { readonly type: 'asked'; readonly asks: ProgramAsks }
  | { readonly type: 'looked' }
  | { readonly type: 'answered'; readonly yes: boolean }
  | { readonly type: 'typed' };

export const askingNothing: Asking = { wanted: null, decided: null, isMuted: false };

/** Pure. Nothing that a program does alone leads to a `decided`. */
export function afterAsking(asking: Asking, event: AskingEvent): Asking {
  switch (event.type) {
    case 'asked':
      if (event.asks.is === 'open') return asking.decided === null ? { ...asking, decided: event.asks } : asking;
      return asking.isMuted ? asking : { ...asking, wanted: event.asks };
    case 'looked':
      return { ...asking, wanted: null, decided: asking.decided ?? asking.wanted };
    case 'answered':
      if (asking.decided?.is === 'open') return { ...asking, decided: null };
      return { wanted: null, decided: null, isMuted: !event.yes };
    case 'typed':
      return asking.isMuted ? { ...asking, isMuted: false } : asking;
  }
}
