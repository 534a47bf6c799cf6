import { isKnownApi } from '#shared/engine-address.ts';
import { type Refused, refused } from './refused.ts';

/** All that passes. A container and an exec are named by their whole ids, never by a name or a part of it. */
export type Route =
  | { readonly is: 'version' }
  | { readonly is: 'ping'; readonly api: string }
  | { readonly is: 'inspect'; readonly api: string; readonly container: string }
  | { readonly is: 'top'; readonly api: string; readonly container: string }
  | { readonly is: 'exec-create'; readonly api: string; readonly container: string }
  | { readonly is: 'exec-start'; readonly api: string; readonly exec: string }
  | { readonly is: 'exec-inspect'; readonly api: string; readonly exec: string }
  | {
      readonly is: 'exec-resize';
      readonly api: string;
      readonly exec: string;
      readonly rows: number;
      readonly cols: number;
    };

/** The engine gives these to `ps` on its host: exactly those that the gateway asks for. */
export const psArgs = '-o pid,sid';

const wholeId = '[0-9a-f]{64}';
const callPath = new RegExp(`^/v([0-9]+\\.[0-9]+)/(?:(_ping)|(containers|exec)/(${wholeId})/([a-z]+))$`);

/**
 * Reads the first line of a request. The path is compared as it came, byte by byte: nothing is decoded, normalised or cut off,
 * so there is no other way to write a path that passes.
 */
export function routeOf(method: string, target: string): Route | Refused {
  const [path = '', query = null, ...more] = target.split('?');
  if (more.length > 0) return refused('this query', 'it has a second question mark');
  if (`${method} ${target}` === 'GET /version') return { is: 'version' };
  const [, api = '', ping, kind, id = '', verb] = callPath.exec(path) ?? [];
  if (api !== '' && !isKnownApi(api)) return refused(`API version ${api}`, 'Spoonbox does not speak it');
  switch (`${method} ${ping ?? `${kind} ${verb}`}`) {
    case 'GET _ping':
      return bare(query, { is: 'ping', api });
    case 'GET containers json':
      return bare(query, { is: 'inspect', api, container: id });
    case 'GET containers top':
      if (query !== null && isPsArgs(query)) return { is: 'top', api, container: id };
      return refused('this list of processes', `only ?ps_args=${psArgs}`);
    case 'POST containers exec':
      return bare(query, { is: 'exec-create', api, container: id });
    case 'POST exec start':
      return bare(query, { is: 'exec-start', api, exec: id });
    case 'GET exec json':
      return bare(query, { is: 'exec-inspect', api, exec: id });
    case 'POST exec resize': {
      const size = sizeIn(query);
      if (size !== null) return { is: 'exec-resize', api, exec: id, ...size };
      return refused('this size', 'only ?h= and ?w=, each from 1 to 1000');
    }
    default:
      return refused(`this ${method}`, whatPasses);
  }
}

const whatPasses =
  'a gateway only asks for version and ping, inspects and lists a box, and creates, starts, inspects and resizes an exec, by whole ids';

function bare(query: string | null, route: Route): Route | Refused {
  return query === null ? route : refused('this query', 'the call has none');
}

function isPsArgs(query: string): boolean {
  const asked = new URLSearchParams(query);
  return asked.size === 1 && asked.get('ps_args') === psArgs;
}

function sizeIn(query: string | null): { rows: number; cols: number } | null {
  const found = /^h=([0-9]{1,4})&w=([0-9]{1,4})$/.exec(query ?? '');
  const [rows, cols] = [Number(found?.[1]), Number(found?.[2])];
  const isCells = (count: number): boolean => count >= 1 && count <= 1_000;
  return isCells(rows) && isCells(cols) ? { rows, cols } : null;
}
