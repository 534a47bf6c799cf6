import type { Target } from './target.ts';
import * as answers from './targets/answers.ts';
import * as api from './targets/api.ts';
import * as cli from './targets/cli.ts';
import * as engine from './targets/engine.ts';
import * as gateway from './targets/gateway.ts';
import * as frames from './targets/frames.ts';
import * as manifests from './targets/manifests.ts';
import * as redis from './targets/redis.ts';
import * as tokens from './targets/tokens.ts';
import * as words from './targets/words.ts';

/** Those that are functions, and those that are servers with sockets. */
export const pureTargets: readonly Target[] = [words, tokens, manifests, engine, redis, cli].flatMap((group) =>
  Object.values(group),
);
export const gatewayTargets: readonly Target[] = [gateway, frames].flatMap((group) => Object.values(group));
export const apiTargets: readonly Target[] = [api, answers].flatMap((group) => Object.values(group));
export const targets: readonly Target[] = [...pureTargets, ...gatewayTargets, ...apiTargets];
