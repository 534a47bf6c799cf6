import { NoQuery } from '#shared/api-schemas.ts';
import { RolloutPause } from '#shared/operator-schemas.ts';
import { PullsAsked, RolloutPauseBody, RolloutView } from '#shared/rollout.ts';
import { createRolloutStore } from '#shared/rollout-store.ts';
import { callerOf } from './access.ts';
import type { Api } from './api.ts';
import { etagOfSetting, settingChanged, settingTimesOf } from './etag.ts';
import { fromEngine, fromStore } from './problem-reply.ts';

/** How newer images and classes reach boxes. The reconciler does it; an operator may hold it up, or have images pulled again. */
export function addRolloutRoutes({ app, redis, keys, store: boxes, planner, untilGone }: Api): void {
  const store = createRolloutStore(redis, keys);

  app.get(
    '/v1/rollout',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'For each class: its image, which boxes are as they would be made now, and who holds the others',
        querystring: NoQuery,
        response: { 200: RolloutView },
        problems: ['engine-unavailable'],
      },
    },
    async (_request, reply) => {
      const classes = await fromEngine(planner.rollout(untilGone(reply)));
      const [{ now, pause, round }, { mode }] = await fromStore(Promise.all([store.read(), boxes.mode()]));
      reply.header('etag', etagOfSetting(pause));
      return { now, mode, pause, pulls: round, classes };
    },
  );

  app.put(
    '/v1/rollout/pause',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Pause rollouts (no box is replaced because its image or class changed), or let them go on',
        querystring: NoQuery,
        body: RolloutPauseBody,
        requestHeaders: {
          'if-match':
            'the ETag of the rollout that was read: refused with 412 where rollouts were paused or let go on by now',
        },
        response: { 200: RolloutPause },
        problems: ['precondition-failed'],
      },
    },
    async (request, reply) => {
      const ifSince = settingTimesOf(request.headers['if-match']);
      const { set, pause, now } = await fromStore(store.pause(request.body, callerOf(request).name, ifSince));
      if (!set) throw settingChanged(pause.paused ? 'rollouts are paused' : 'rollouts go on', pause, now);
      reply.header('etag', etagOfSetting(pause));
      return pause;
    },
  );

  app.post(
    '/v1/rollout/pulls',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Have the images of all classes pulled again; `pulls` of GET /v1/rollout says how far that is',
        querystring: NoQuery,
        response: { 202: PullsAsked },
      },
    },
    async (request, reply) => {
      const askedAt = await fromStore(store.askPulls(callerOf(request).name));
      reply.code(202);
      return { askedAt };
    },
  );
}
