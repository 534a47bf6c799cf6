import type { FastifyReply } from 'fastify';
import { BoxParams, NoQuery } from '#shared/api-schemas.ts';
import { ModeBody, PlanList, PlanView, ReconcilerView } from '#shared/operator-schemas.ts';
import { ProblemError } from '#shared/problem.ts';
import type { LeaderReport } from '../store/leader-store.ts';
import { callerOf } from './access.ts';
import type { Api } from './api.ts';
import { etagOfSetting, settingChanged, settingTimesOf } from './etag.ts';
import { fromStore } from './problem-reply.ts';

/** Who leads, as this process sees it. */
export interface LeaderPort {
  /** this very process does */
  leads(): boolean;
  report(): Promise<LeaderReport>;
}

/** The reconciler: its mode, who leads, what the next pass would do. Asking is never activity, and changes nothing. */
export function addReconcilerRoutes({ app, store, planner, leader, untilGone }: Api): void {
  app.get(
    '/v1/reconciler',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'The mode of the reconciler, who leads, and how its loop does',
        querystring: NoQuery,
        response: { 200: ReconcilerView },
      },
    },
    async (_request, reply) => tagged(reply, await view()),
  );

  app.put(
    '/v1/reconciler/mode',
    {
      config: { role: 'admin' },
      schema: {
        summary: 'Run, drain (no new boxes) or pause (nothing is changed)',
        querystring: NoQuery,
        body: ModeBody,
        requestHeaders: {
          'if-match': 'the ETag of the reconciler that was read: refused with 412 where its mode was set by now',
        },
        response: { 200: ReconcilerView },
        problems: ['precondition-failed'],
      },
    },
    async (request, reply) => {
      const ifSince = settingTimesOf(request.headers['if-match']);
      const { set, mode, now } = await fromStore(store.setMode(request.body, callerOf(request).name, ifSince));
      if (!set) throw settingChanged(`the mode is ${mode.mode}`, mode, now);
      return tagged(reply, await view());
    },
  );

  app.get(
    '/v1/plan',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'What the next pass would do to every box, and why; nothing is changed',
        querystring: NoQuery,
        response: { 200: PlanList },
      },
    },
    async (_request, reply) => ({ items: await planner.planAll(untilGone(reply)) }),
  );

  app.get(
    '/v1/boxes/:user/plan',
    {
      config: { role: 'viewer' },
      schema: {
        summary: 'What the next pass would do to this box, and why; nothing is changed',
        params: BoxParams,
        querystring: NoQuery,
        response: { 200: PlanView },
        problems: ['box-unknown'],
      },
    },
    async (request, reply) => {
      const { user } = request.params;
      const plan = await planner.plan(user, untilGone(reply));
      if (plan !== null) return plan;
      throw new ProblemError('box-unknown', `nothing is known of ${user}, and nothing would be done: check the name`);
    },
  );

  async function view(): Promise<ReconcilerView> {
    const [{ now, mode }, report] = await fromStore(Promise.all([store.mode(), leader.report()]));
    const { holder, lastBeatAt, loop } = report;
    return { now, mode, leader: { holder, isThis: leader.leads(), lastBeatAt }, loop };
  }
}

function tagged(reply: FastifyReply, view: ReconcilerView): ReconcilerView {
  reply.header('etag', etagOfSetting(view.mode));
  return view;
}
