import type { Clock } from '#shared/clock.ts';
import type { UserName } from '#shared/identity.ts';
import { DeadlineHeap } from '../queue/deadline-heap.ts';

/** A timer counts from when it is set, and Redis has a clock of its own: what passes there has passed by then. */
const slackMs = 50;
/** No box is looked at again sooner than this, however many of its leases run out one after the other. */
const noSoonerMs = 1_000;
/** The longest that a timer is set for: a pin lasts longer than what one can wait. */
const longestWaitMs = 3_600_000;

/** Which boxes are to be looked at once more, and when. One timer for all of them. */
export interface SecondLooks {
  /** At this user once more, in `inMs`, in place of when it was to be before. Infinite = not at all. */
  set(user: UserName, inMs: number): void;
  stop(): void;
}

export function createSecondLooks(clock: Clock, look: (users: readonly UserName[]) => void): SecondLooks {
  const deadlines = new DeadlineHeap<UserName>();
  let armedFor = Number.POSITIVE_INFINITY;
  let cancel = (): void => {};

  function arm(): void {
    const at = deadlines.peek()?.at ?? Number.POSITIVE_INFINITY;
    if (at === armedFor) return;
    cancel();
    armedFor = at;
    if (at === Number.POSITIVE_INFINITY) return;
    cancel = clock.after(Math.min(at - clock.monotonicMs(), longestWaitMs), onTime);
  }

  function onTime(): void {
    armedFor = Number.POSITIVE_INFINITY;
    const now = clock.monotonicMs();
    const due: UserName[] = [];
    for (let next = deadlines.peek(); next !== null && next.at <= now; next = deadlines.peek()) {
      deadlines.delete(next.key);
      due.push(next.key);
    }
    arm();
    if (due.length > 0) look(due);
  }

  return {
    set(user, inMs) {
      deadlines.delete(user);
      if (inMs < Number.POSITIVE_INFINITY)
        deadlines.set(user, clock.monotonicMs() + Math.max(inMs + slackMs, noSoonerMs));
      arm();
    },
    stop() {
      cancel();
      cancel = () => {};
      armedFor = Number.POSITIVE_INFINITY;
      for (let next = deadlines.peek(); next !== null; next = deadlines.peek()) deadlines.delete(next.key);
    },
  };
}
