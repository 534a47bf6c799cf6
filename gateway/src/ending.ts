import type { CloseName, ExitReason, TerminalErrorCode } from '#shared/terminal-protocol.ts';
import { closeTable } from '#shared/terminal-protocol.ts';

/** Why a terminal ends. Thrown, or the reason of its abort signal, so that it unwinds whatever the terminal waits for. */
export class Ending extends Error {
  override name = 'Ending';
  readonly close: CloseName;
  /** set where the client gets an `exit`; else it gets an `error` with `errorCode` */
  readonly exit: { readonly code: number | null; readonly reason: ExitReason } | null;
  readonly errorCode: TerminalErrorCode;
  /** of the gateway to go to, with `elsewhere` */
  readonly address: string | undefined;

  constructor(
    close: CloseName,
    options: { message?: string; exit?: Ending['exit']; errorCode?: TerminalErrorCode; address?: string } = {},
  ) {
    super(options.message ?? closeTable[close].text);
    this.close = close;
    this.exit = options.exit ?? null;
    this.errorCode = options.errorCode ?? close;
    this.address = options.address;
  }
}

/** The client has gone: there is nobody to tell. */
export class ClientGone extends Error {
  override name = 'ClientGone';
  /** it said that it is done, and does not come back */
  readonly isDone: boolean;

  constructor(message: string, isDone: boolean) {
    super(message);
    this.isDone = isDone;
  }
}

/** The terminal was ended from outside, or because the gateway restarts. */
export function endedBy(reason: 'reaped' | 'deleted' | 'idle' | 'released' | 'restarting'): Ending {
  return new Ending(reason, { exit: { code: null, reason } });
}

/** Nothing can be begun without Redis. */
export function storeIsSilent(): Ending {
  return new Ending('try-later', { message: 'the state store does not answer; try again later' });
}
