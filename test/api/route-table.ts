import type { RouteRole } from '../../controller/src/api/access.ts';

/** Every route of the API, as tests ask it: `access.test.ts` is red where one is missing here, or has another role in the code. */

export interface Entry {
  readonly role: RouteRole;
  readonly body?: unknown;
  /** where it is not what the route's own path says, with `alice`, `j1` and an id that no token has */
  readonly path?: string;
  /** what whoever is let in gets; 404 and 410 are as good: it was looked for */
  readonly answers: readonly number[];
}

const restore = {
  header: {
    ...{ kind: 'header', format: 'spoonbox-backup', formatVersion: 1, version: '0', installation: 'test' },
    ...{ takenAt: 1, users: 0 },
  },
  records: [],
};
export const job = { kind: 'job', holder: 'agent-7', ttlMs: 60_000 };
export const table: Readonly<Record<string, Entry>> = {
  'GET /healthz': { role: 'anyone', answers: [200] },
  'GET /readyz': { role: 'anyone', answers: [200] },
  'GET /': { role: 'anyone', answers: [200, 503] },
  'GET /console': { role: 'anyone', answers: [200, 503] },
  'GET /console/': { role: 'anyone', answers: [200, 503] },
  'GET /console/*': { role: 'anyone', path: '/console/assets/none.js', answers: [404] },
  'GET /openapi.json': { role: 'viewer', answers: [200] },
  'GET /metrics': { role: 'viewer', answers: [200] },
  'GET /v1/events': { role: 'viewer', answers: [200] },
  'GET /v1/machine': { role: 'viewer', answers: [200] },
  'GET /v1/reasons': { role: 'viewer', answers: [200] },
  'GET /v1/reconciler': { role: 'viewer', answers: [200] },
  'PUT /v1/reconciler/mode': { role: 'admin', body: { mode: 'run' }, answers: [200] },
  'GET /v1/doctor': { role: 'admin', answers: [200] },
  'GET /v1/leftovers': { role: 'admin', answers: [200] },
  'POST /v1/leftovers/clear': {
    role: 'admin',
    body: { kind: 'job-directory', name: 'j', seen: 's' },
    answers: [409],
  },
  'GET /v1/rollout': { role: 'viewer', answers: [200] },
  'PUT /v1/rollout/pause': { role: 'admin', body: { paused: false }, answers: [200] },
  'POST /v1/rollout/pulls': { role: 'admin', answers: [202] },
  'GET /v1/plan': { role: 'viewer', answers: [200] },
  'GET /v1/capacity': { role: 'viewer', answers: [200] },
  'GET /v1/stats': { role: 'viewer', answers: [200] },
  'GET /v1/boxes/:user/plan': { role: 'viewer', answers: [200, 404] },
  'GET /v1/boxes/:user/stats': { role: 'viewer', answers: [200, 404, 409] },
  'GET /v1/boxes': { role: 'viewer', answers: [200] },
  'GET /v1/boxes/:user': { role: 'viewer', answers: [200] },
  'GET /v1/boxes/:user/events': { role: 'viewer', answers: [200] },
  'GET /v1/classes': { role: 'viewer', answers: [200] },
  'PUT /v1/boxes/:user/leases/:id': { role: 'jobs', body: job, answers: [200] },
  'POST /v1/boxes/:user/leases/:id/renew': { role: 'jobs', body: {}, answers: [200, 404, 410] },
  'DELETE /v1/boxes/:user/leases/:id': { role: 'jobs', path: '/v1/boxes/alice/leases/j2', answers: [200, 404] },
  'POST /v1/boxes/:user/terminal-tokens': { role: 'admin', body: {}, answers: [200] },
  'POST /v1/boxes/:user/actions': { role: 'admin', body: { action: 'recreate' }, answers: [202] },
  'DELETE /v1/boxes/:user': { role: 'admin', path: '/v1/boxes/bob', answers: [202, 404] },
  'GET /v1/users/:user/dotfiles': { role: 'viewer', answers: [200] },
  'GET /v1/users/:user/dotfiles/:path': { role: 'admin', path: '/v1/users/alice/dotfiles/.x', answers: [404] },
  'PUT /v1/users/:user/dotfiles/:path': { role: 'admin', body: { content: '' }, answers: [200] },
  'DELETE /v1/users/:user/dotfiles/:path': { role: 'admin', path: '/v1/users/alice/dotfiles/.x', answers: [404] },
  'GET /v1/users/:user/environment': { role: 'viewer', answers: [200] },
  'GET /v1/users/:user/environment/:name': { role: 'admin', path: '/v1/users/alice/environment/X', answers: [404] },
  'PUT /v1/users/:user/environment/:name': {
    ...{ role: 'admin', body: { value: '' }, answers: [200] },
  },
  'DELETE /v1/users/:user/environment/:name': { role: 'admin', path: '/v1/users/alice/environment/X', answers: [404] },
  'GET /v1/users/:user/vault': { role: 'admin', answers: [200] },
  'PUT /v1/users/:user/vault': { role: 'admin', body: {}, answers: [200] },
  'POST /v1/vault/rotate': { role: 'admin', answers: [200] },
  'GET /v1/users/:user/vault/status': { role: 'viewer', answers: [200] },
  'POST /v1/users/:user/vault/take': { role: 'admin', body: { path: '.bashrc' }, answers: [404] },
  'GET /v1/backup': { role: 'admin', answers: [200] },
  'POST /v1/restore': { role: 'admin', body: restore, answers: [200] },
  'GET /v1/tokens': { role: 'admin', answers: [200] },
  'POST /v1/tokens': { role: 'admin', body: { name: 'n', role: 'viewer' }, answers: [201] },
  'DELETE /v1/tokens/:id': { role: 'admin', answers: [404] },
  'POST /v1/login-links': { role: 'viewer', body: {}, answers: [200] },
  // Anyone may try; only the code counts.
  'POST /v1/session': { role: 'anyone', body: { code: 'x' }, answers: [401] },
  'GET /v1/session': { role: 'viewer', answers: [200] },
  'DELETE /v1/session': { role: 'viewer', answers: [204] },
};

const goodParts: Readonly<Record<string, string>> = { user: 'alice', id: 'j1', path: 'a', name: 'A' };

/** The path of a route, with these parts where they are given, and good ones otherwise. */
export function pathOf(url: string, parts: Readonly<Record<string, string>> = {}): string {
  const good = url.startsWith('/v1/tokens/') ? { ...goodParts, id: 'a'.repeat(12) } : goodParts;
  return url.replaceAll(/:(\w+)/g, (_all, name: string) => parts[name] ?? good[name] ?? name);
}
