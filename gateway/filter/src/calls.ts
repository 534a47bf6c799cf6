import type { Boxes } from './boxes.ts';
import { ExecCreateAnswer, ExecInspectAnswer, InspectAnswer, readAnswer, TopAnswer, VersionAnswer } from './answers.ts';
import { ExecCreateBody, readBody } from './body.ts';
import type { Engine } from './engine.ts';
import { psArgs, type Route } from './route.ts';

export interface Answer {
  readonly status: number;
  readonly type: 'application/json' | 'text/plain; charset=utf-8';
  readonly body: string;
}

/** Answers one call that is no start. Throws a Refused, or EngineSilent. */
export async function answerCall(
  { engine, boxes }: { engine: Engine; boxes: Boxes },
  route: Exclude<Route, { is: 'exec-start' }>,
  body: Buffer,
  signal: AbortSignal,
): Promise<Answer> {
  const get = (path: string): Promise<string> => engine.ask({ method: 'GET', path, body: null }, signal);
  switch (route.is) {
    case 'version':
      return json(200, readAnswer(VersionAnswer, await get('/version')));
    case 'ping':
      await get(`/v${route.api}/_ping`);
      return { status: 200, type: 'text/plain; charset=utf-8', body: 'OK' };
    case 'inspect':
      return json(200, readAnswer(InspectAnswer, await boxes.inspect(route.api, route.container, signal)));
    case 'top': {
      await boxes.box(route.api, route.container, signal);
      const path = `/v${route.api}/containers/${route.container}/top?${new URLSearchParams({ ps_args: psArgs })}`;
      return json(200, readAnswer(TopAnswer, await get(path)));
    }
    case 'exec-create': {
      const create = readBody(ExecCreateBody, body);
      const box = await boxes.box(route.api, route.container, signal);
      const path = `/v${route.api}/containers/${box.id}/exec`;
      const made = readAnswer(
        ExecCreateAnswer,
        await engine.ask({ method: 'POST', path, body: JSON.stringify(create) }, signal),
      );
      boxes.made(made.Id);
      return json(201, made);
    }
    case 'exec-inspect':
      return json(200, readAnswer(ExecInspectAnswer, await boxes.inspectExec(route.api, route.exec, signal)));
    case 'exec-resize': {
      await boxes.exec(route.api, route.exec, signal);
      const path = `/v${route.api}/exec/${route.exec}/resize?h=${route.rows}&w=${route.cols}`;
      await engine.ask({ method: 'POST', path, body: null }, signal);
      return { status: 200, type: 'text/plain; charset=utf-8', body: '' };
    }
  }
}

function json(status: number, answer: unknown): Answer {
  return { status, type: 'application/json', body: `${JSON.stringify(answer)}\n` };
}
