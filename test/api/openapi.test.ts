import { Ajv2020 } from 'ajv/dist/2020.js';
import { fastify } from 'fastify';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { gatherRoutes } from '../../controller/src/api/route-schema.ts';
import { answerCheck } from '../support/answer-check.ts';
import { type ApiWorld, createApiWorld } from './api-world.ts';

const Parameter = z.object({
  name: z.string(),
  in: z.enum(['path', 'query', 'header', 'cookie']),
  schema: z.unknown(),
});
const Content = z.record(z.string(), z.looseObject({ schema: z.unknown() }));
const Operation = z.looseObject({
  operationId: z.string(),
  summary: z.string().min(1),
  parameters: z.array(z.looseObject({ ...Parameter.shape, required: z.boolean().optional() })).default([]),
  requestBody: z.looseObject({ content: Content }).optional(),
  responses: z.record(
    z.string().regex(/^[1-5]\d\d$/),
    z.looseObject({ description: z.string().min(1), content: Content.optional() }),
  ),
});
const Document = z.looseObject({
  openapi: z.string().regex(/^3\.1\.\d$/),
  info: z.looseObject({ title: z.string(), version: z.string() }),
  paths: z.record(z.string().startsWith('/'), z.partialRecord(z.enum(['get', 'put', 'post', 'delete']), Operation)),
  components: z.looseObject({ schemas: z.record(z.string().regex(/^[\w.-]+$/), z.unknown()) }),
});

let world: ApiWorld;
let document: z.infer<typeof Document>;
let text: string;
beforeAll(async () => {
  world = await createApiWorld();
  const answer = await world.ask('GET', '/openapi.json');
  text = answer.text;
  document = Document.parse(answer.json);
});
afterAll(() => world.close());

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  );

test('it has the form of OpenAPI 3.1: parameters of the path are those of its name, ids are unique', () => {
  const ids = operations().map(({ operation }) => operation.operationId);
  expect(new Set(ids).size).toBe(ids.length);
  for (const { path, operation } of operations()) {
    const inPath = operation.parameters.filter((parameter) => parameter.in === 'path');
    expect(inPath.every(({ required }) => required)).toBe(true);
    expect(inPath.map(({ name }) => name)).toEqual([...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name));
    expect(Object.keys(operation.responses).some((status) => status.startsWith('2'))).toBe(true);
  }
});

test('every schema is one of JSON Schema 2020-12, and every reference leads somewhere', () => {
  const ajv = new Ajv2020({ strict: true, strictTypes: false, allowUnionTypes: true, validateFormats: false });
  ajv.addKeyword('components').addKeyword('paths');
  ajv.addVocabulary(['openapi', 'info', 'servers', 'security']);
  ajv.addSchema({ $id: 'openapi', ...document });
  const contents = operations().flatMap(({ path, method, operation }) => [
    ...operation.parameters.map(({ name, schema }) => [`${method} ${path} ${name}`, schema] as const),
    ...Object.entries(operation.requestBody?.content ?? {}).map(
      ([, { schema }]) => [`${method} ${path}`, schema] as const,
    ),
    ...Object.values(operation.responses).flatMap(({ content = {} }) =>
      Object.values(content).map(({ schema }) => [`${method} ${path}`, schema] as const),
    ),
  ]);
  const schemas = [...Object.entries(document.components.schemas), ...contents];
  expect(schemas.length).toBeGreaterThan(100);
  for (const [where, schema] of schemas) {
    const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/'));
    expect(() => ajv.compile(absolute), where).not.toThrow();
  }
});

test('it says who may ask: all of /v1 needs a token, the rest none', () => {
  for (const { path, operation } of operations()) {
    expect('401' in operation.responses, path).toBe(path.startsWith('/v1/'));
  }
});

test('it is the one that is committed', async () => {
  const { generatedFiles } = await import('../../manifests/docs/generate.ts');
  const committed = generatedFiles().find(({ path }) => path.endsWith('openapi.json'))?.text;
  expect(JSON.parse(committed ?? '')).toEqual(JSON.parse(text));
});

test('an answer that is not as declared is found', () => {
  const check = answerCheck(document);
  const answer = { method: 'GET', route: '/v1/classes', status: 200, type: 'application/json' };
  expect(() => check({ ...answer, text: '{"items":[]}' })).not.toThrow();
  expect(() => check({ ...answer, text: '{"items":[{}]}' })).toThrow(/not as declared/);
  expect(() => check({ ...answer, status: 418, text: '{}' })).toThrow(/418/);
});

test('a route of /v1 that does not declare its answer fails the start', () => {
  const app = fastify();
  gatherRoutes(app);
  app.get('/other', async () => ({}));
  expect(() => app.get('/v1/new', async () => ({}))).toThrow(/GET \/v1\/new does not declare/);
  const schema = { summary: 'something new', response: { 200: z.object({}) } };
  expect(() => app.get('/v1/declared', { schema }, async () => ({}))).not.toThrow();
});
