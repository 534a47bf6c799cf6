import { z } from 'zod';

/** What the people of a run tell of what they saw, from their processes to the run. All times are `Date.now()` of this machine. */

const common = { atMs: z.number(), user: z.string() };

export const Telling = z.discriminatedUnion('is', [
  /** a holder was told that its lease lives: it counts on its box from now until `untilMs` */
  z.object({ is: z.literal('held'), ...common, lease: z.string(), untilMs: z.number() }),
  /** the holder gives it back now, or was told that it has ended: nobody counts on it any more */
  z.object({ is: z.literal('over'), ...common, lease: z.string() }),
  z.object({ is: z.literal('opens'), ...common, session: z.string(), gateway: z.string() }),
  /** the lines up to this one were echoed by this shell (the terminal's first is 1), which had written each into the home before */
  z.object({ is: z.literal('echoed'), ...common, session: z.string(), shell: z.int(), line: z.int() }),
  /** bytes came that were not typed, or not in that order, or twice */
  z.object({ is: z.literal('garbled'), ...common, session: z.string(), expected: z.string(), got: z.string() }),
  z.object({
    is: z.literal('closed'),
    ...common,
    session: z.string(),
    gateway: z.string(),
    openedAtMs: z.number(),
    /** 'us': the person closed it. 'refused': there never was a terminal. 'them': the gateway, or the network. */
    by: z.enum(['us', 'them', 'refused']),
    /** close code, or HTTP status; 0 = no connection */
    code: z.int(),
    /** the gateway's words before it closed; '' = none */
    said: z.string(),
  }),
]);
export type Telling = z.infer<typeof Telling>;

/** What a process of people is given. */
export const CrowdPlan = z.object({
  name: z.string(),
  users: z.array(z.string()),
  seed: z.number(),
  controllers: z.array(z.string()),
  gateways: z.array(z.object({ name: z.string(), url: z.string() })),
});
export type CrowdPlan = z.infer<typeof CrowdPlan>;
