import type { BoxStore } from '#shared/box-store.ts';
import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import type { Logger } from '#shared/log.ts';
import { type BoxRecord, type ReadyStatus, isUsable } from '#shared/status.ts';
import type { ServerMessage } from '#shared/terminal-protocol.ts';
import type { GatewayLimits } from './limits.ts';
import type { StatusFeed } from './status-feed.ts';

export interface WaitDeps {
  readonly store: BoxStore;
  readonly feed: StatusFeed;
  readonly clock: Clock;
  readonly limits: GatewayLimits;
  readonly log: Logger;
}

/**
 * Waits until a user's box is ready, and answers its status. Meanwhile `tell` gets what the box does, each change once.
 * Reads the state when it is told of a change, and every `readyPollMs` should that be lost. There is no deadline: a box that
 * cannot be started now is told why, and waited for as long as the client stays.
 */
export async function waitReady(
  deps: WaitDeps,
  user: UserName,
  tell: (message: ServerMessage) => void,
  signal: AbortSignal,
): Promise<ReadyStatus> {
  const bell = new Bell();
  const unwatch = deps.feed.watch(user, () => bell.ring());
  let told = '';
  const tellOnce = (message: ServerMessage): void => {
    const text = JSON.stringify(message);
    if (text !== told) tell(message);
    told = text;
  };
  try {
    for (;;) {
      signal.throwIfAborted();
      try {
        const record = await deps.store.read(user);
        signal.throwIfAborted();
        const { status } = record;
        if (isUsable(status)) return status;
        tellOnce(statusMessage(record));
      } catch (error) {
        signal.throwIfAborted();
        deps.log.debug({ user, error }, 'the state of the box cannot be read; trying again');
        tellOnce({
          type: 'notice',
          code: 'state-unreachable',
          message: 'the state store does not answer; trying again',
        });
      }
      await bell.rung(deps.clock, deps.limits.readyPollMs, signal);
    }
  } finally {
    unwatch();
  }
}

function statusMessage({ status }: BoxRecord): ServerMessage {
  if (!status) {
    const message = 'waiting for a controller to look at this box';
    return { type: 'status', phase: 'absent', step: null, message, progress: null };
  }
  const { phase, step, progress } = status;
  return { type: 'status', phase, step, message: wordsFor(status), progress };
}

/** The status's own sentence, and the trouble behind it where it does not say it itself. */
function wordsFor(status: NonNullable<BoxRecord['status']>): string {
  const trouble = status.conditions.find(({ type, status: value }) =>
    type === 'NameTaken' ? value === 'True' : value === 'False' && troubles.has(type),
  );
  const telling = status.phase === 'failed' || trouble?.type === 'NameTaken' || trouble?.type === 'EngineReachable';
  const words = status.message === '' ? `the box is ${status.phase}` : status.message;
  if (!trouble || !telling || trouble.message === '' || words.includes(trouble.message)) return words;
  return `${words}: ${trouble.message}`;
}

const troubles = new Set(['EngineReachable', 'ImageReady', 'HomeReady', 'ContainerReady', 'ExecReady']);

/** Remembers one ring, so that a change between a look and the wait for the next is not missed. */
class Bell {
  #rang = false;
  #wake: (() => void) | null = null;

  ring(): void {
    this.#rang = true;
    this.#wake?.();
  }

  /** Resolves when it was rung since the last time, at the latest after `mostMs`. */
  rung(clock: Clock, mostMs: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        cancel();
        signal.removeEventListener('abort', settle);
        this.#wake = null;
        this.#rang = false;
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const cancel = clock.after(mostMs, settle);
      this.#wake = settle;
      signal.addEventListener('abort', settle, { once: true });
      if (this.#rang || signal.aborted) settle();
    });
  }
}
