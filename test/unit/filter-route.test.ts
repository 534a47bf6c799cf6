import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExecCreateBody, ExecStartBody, readBody } from '../../gateway/filter/src/body.ts';
import { Refused } from '../../gateway/filter/src/refused.ts';
import { type Route, routeOf } from '../../gateway/filter/src/route.ts';

const id = 'a1'.repeat(32);
const known: readonly [string, string][] = [
  ['GET', '/version'],
  ['GET', '/v1.44/_ping'],
  ['GET', `/v1.44/containers/${id}/json`],
  ['GET', `/v1.44/containers/${id}/top?ps_args=-o%20pid%2Csid`],
  ['POST', `/v1.44/containers/${id}/exec`],
  ['POST', `/v1.44/exec/${id}/start`],
  ['GET', `/v1.44/exec/${id}/json`],
  ['POST', `/v1.44/exec/${id}/resize?h=24&w=80`],
];

/** The path that a route stands for, without its query. */
function pathOf(route: Route): string {
  switch (route.is) {
    case 'version':
      return '/version';
    case 'ping':
      return `/v${route.api}/_ping`;
    case 'inspect':
      return `/v${route.api}/containers/${route.container}/json`;
    case 'top':
      return `/v${route.api}/containers/${route.container}/top`;
    case 'exec-create':
      return `/v${route.api}/containers/${route.container}/exec`;
    case 'exec-start':
      return `/v${route.api}/exec/${route.exec}/start`;
    case 'exec-inspect':
      return `/v${route.api}/exec/${route.exec}/json`;
    case 'exec-resize':
      return `/v${route.api}/exec/${route.exec}/resize`;
  }
}

describe('a request line', () => {
  it('of a gateway passes', () => {
    for (const [method, target] of known) expect(routeOf(method, target), target).not.toBeInstanceOf(Refused);
  });

  it('passes in one spelling only, whatever is put into it, taken out or changed', () => {
    const pieces = [
      '/',
      '//',
      '/.',
      '/..',
      '%2e',
      '%2F',
      '%00',
      '?',
      '#',
      ';',
      '\\',
      ' ',
      '0',
      'A',
      'v1.44/',
      'json',
      ':',
    ];
    const changed = fc
      .record({
        of: fc.constantFrom(...known),
        method: fc.option(fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'get')),
        changes: fc.array(
          fc.record({
            at: fc.nat(160),
            cut: fc.nat(3),
            put: fc.oneof(fc.constantFrom(...pieces), fc.string({ maxLength: 3 })),
          }),
          { minLength: 0, maxLength: 3 },
        ),
      })
      .map(({ of: [usual, target], method, changes }) => {
        const text = changes.reduce((now, { at, cut, put }) => now.slice(0, at) + put + now.slice(at + cut), target);
        return { method: method ?? usual, text, usual };
      });
    let passed = 0;
    const check = ({ method, text }: { method: string; text: string }): void => {
      const route = routeOf(method, text);
      if (route instanceof Refused) return;
      passed += 1;
      expect(text.split('?')[0]).toBe(pathOf(route));
      expect(['GET', 'POST']).toContain(method);
    };
    fc.assert(fc.property(changed, check), { numRuns: 3_000 });
    expect(passed).toBeGreaterThan(20);
  });
});

describe('a body', () => {
  it('that passes holds nothing that is not known here, in whatever case it is written', () => {
    const names = [
      'Privileged',
      'privileged',
      'PRIVILEGED',
      'User',
      'user',
      'Container',
      'Detach',
      'detach',
      'HostConfig',
      '__proto__',
    ];
    const body = fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), fc.jsonValue(), { maxKeys: 4 });
    const fields = new Set(Object.keys(ExecCreateBody.shape));
    const passes = (more: Record<string, unknown>): void => {
      const bytes = Buffer.from(JSON.stringify({ Cmd: ['true'], ...more }));
      try {
        const read = readBody(ExecCreateBody, bytes);
        expect(Object.keys(read).filter((name) => !fields.has(name))).toEqual([]);
      } catch (error) {
        expect(error).toBeInstanceOf(Refused);
      }
    };
    fc.assert(fc.property(body, passes), { numRuns: 300 });
    expect(() => readBody(ExecStartBody, Buffer.from('{"Detach":true,"Tty":true}'))).toThrow('never detached');
  });

  it('is read up to the first word that does not pass: a problem of each of millions would fill the memory', () => {
    const wrong = Array.from({ length: 10_000 }, () => 1);
    const read = ExecCreateBody.safeParse({ Cmd: wrong, Env: wrong, ConsoleSize: wrong });
    expect(read.error?.issues.map(({ path }) => path[0])).toEqual(['Cmd', 'Env', 'ConsoleSize']);
  });
});
