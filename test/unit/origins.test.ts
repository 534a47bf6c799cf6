import { expect, test } from 'vitest';
import { readConfig } from '#shared/config.ts';

const originsOf = (list: string): readonly string[] =>
  readConfig({ SPOON_AGENT_WORKER_INTERNAL_TOKEN: 'a-long-enough-token', SPOON_ALLOWED_ORIGINS: list }).allowedOrigins;

test('allowed origins are a list; an empty one is none', () => {
  expect(originsOf('https://a.example, http://b.example:8080,')).toEqual([
    'https://a.example',
    'http://b.example:8080',
  ]);
  expect(originsOf('')).toEqual([]);
});

test.each(['https://a.example/', 'https://A.example', 'a.example', '*', 'https://a.example/app', 'null'])(
  'what no browser ever sends as its origin is refused at the start, not at the first click: %s',
  (origin) => {
    expect(() => originsOf(`https://ok.example,${origin}`)).toThrow(/SPOON_ALLOWED_ORIGINS.*origins as browsers send/);
  },
);
