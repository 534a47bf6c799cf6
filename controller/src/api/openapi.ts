import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiResponseObject } from 'zod-openapi';
import * as boxSchemas from '#shared/api-schemas.ts';
import * as findingSchemas from '#shared/finding.ts';
import * as leftoverSchemas from '#shared/leftover.ts';
import * as operatorSchemas from '#shared/operator-schemas.ts';
import { Problem, type ProblemCode, problemMediaType, problems } from '#shared/problem.ts';
import * as vaultSchemas from '#shared/vault-schemas.ts';
import type { DeclaredRoute } from './route-schema.ts';

const all = [boxSchemas, findingSchemas, leftoverSchemas, operatorSchemas, vaultSchemas, { Problem }];
for (const exported of all) name(exported);

type Document = ReturnType<typeof createDocument>;

/** Whatever is asked for, it may be answered with these. */
const ofEveryRoute: readonly ProblemCode[] = ['request-refused', 'redis-unavailable', 'internal'];
const ofEveryToken: readonly ProblemCode[] = [
  'token-missing',
  'token-wrong',
  'token-expired',
  'login-ended',
  'role-too-low',
  'csrf-refused',
  'too-many-requests',
];
const ofEveryInput: readonly ProblemCode[] = ['request-invalid'];
/** Also where no body is taken: one that is sent all the same is read. */
const ofEveryBody: readonly ProblemCode[] = ['body-not-json', 'body-too-large', 'media-type-unsupported'];

const description = `Boxes of users: who holds them, why they are alive and until when, and what to do about it. All times are Redis TIME in
ms. Every refusal is \`${problemMediaType}\` (RFC 9457): decide by its \`code\`. A client ignores members that it does not know.`;

/** The OpenAPI 3.1 document of these routes: what is checked and answered, told from the same schemas. */
export function openApiOf(routes: readonly DeclaredRoute[], isOpen: (route: DeclaredRoute) => boolean): Document {
  const paths: Record<string, Record<string, ZodOpenApiOperationObject>> = {};
  for (const route of routes) {
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route, isOpen(route)) };
  }
  return createDocument(
    {
      openapi: '3.1.0',
      info: { title: 'Spoonbox', version: '1', description, license: { name: 'MIT', identifier: 'MIT' } },
      servers: [{ url: '/' }],
      security: [{ token: [] }],
      paths,
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      },
    },
    {
      // Answers grow: whoever reads them has to take what is not known yet. What is asked stays strict.
      override({ jsonSchema, zodSchema, io }) {
        const isLoose = io === 'output' && zodSchema._zod.def.type === 'object' && !zodSchema._zod.def.catchall;
        if (isLoose) delete jsonSchema.additionalProperties;
      },
    },
  );
}

/** The problem codes that a route may answer with. */
export function problemsOf({ method, schema }: DeclaredRoute, isOpen: boolean): ProblemCode[] {
  const { params, querystring, body } = schema;
  const hasUser = params instanceof z.ZodObject && 'user' in params.shape;
  return [
    ...ofEveryRoute,
    ...(isOpen ? [] : ofEveryToken),
    ...(params || querystring || body ? ofEveryInput : []),
    ...(hasUser ? ['user-invalid' as const] : []),
    ...(method === 'GET' ? [] : ofEveryBody),
    ...(schema.problems ?? []),
  ];
}

function operationOf(route: DeclaredRoute, isOpen: boolean): ZodOpenApiOperationObject {
  const { summary = '', params, querystring, body, response, requestHeaders = {}, events } = route.schema;
  const responses: Record<string, ZodOpenApiResponseObject> = {};
  for (const [status, schema] of Object.entries(response ?? {})) responses[status] = answerOf(status, schema);
  if (events) responses['200'] = withEvents(responses['200'], events);
  for (const code of problemsOf(route, isOpen)) {
    const status = String(problems[code].status);
    const told = responses[status]?.description;
    responses[status] = {
      description: `${told === undefined ? '' : `${told}; `}\`${code}\`: ${problems[code].title}`,
      content: { [problemMediaType]: { schema: Problem } },
    };
  }
  return {
    summary,
    operationId: operationIdOf(route),
    ...(isOpen ? { security: [] } : {}),
    requestParams: {
      ...(params instanceof z.ZodObject ? { path: params } : {}),
      ...(querystring instanceof z.ZodObject ? { query: querystring } : {}),
    },
    ...parametersOf(requestHeaders),
    ...(body instanceof z.ZodType ? { requestBody: { required: true, content: json(body) } } : {}),
    responses,
  };
}

function answerOf(status: string, schema: unknown): ZodOpenApiResponseObject {
  if (!(schema instanceof z.ZodType)) throw new Error(`the answer ${status} of a route is no zod schema`);
  if (schema instanceof z.ZodUndefined) return { description: status === '304' ? 'not changed' : 'done' };
  return { description: schema.description ?? 'done', content: json(schema) };
}

function withEvents(plain: ZodOpenApiResponseObject | undefined, events: Readonly<Record<string, string>>) {
  const told = Object.entries(events).map(([name, data]) => `\`${name}\`: ${data}`);
  const text = `server-sent events; ${told.join('; ')}`;
  return {
    description: `${plain?.description ?? 'done'}; with \`watch=1\` ${text}`,
    content: { ...plain?.content, 'text/event-stream': { schema: { type: 'string' as const, description: text } } },
  };
}

function parametersOf(headers: Readonly<Record<string, string>>): Pick<ZodOpenApiOperationObject, 'parameters'> {
  const parameters = Object.entries(headers).map(([name, told]) => ({
    name,
    in: 'header' as const,
    description: told,
    schema: { type: 'string' as const },
  }));
  return parameters.length === 0 ? {} : { parameters };
}

/** `GET /v1/boxes/:user/events` → `getBoxesUserEvents`. */
function operationIdOf({ method, url }: DeclaredRoute): string {
  const words = url.split(/[^A-Za-z0-9]+/).filter((word) => word !== '' && word !== 'v1');
  return method.toLowerCase() + words.map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
}

function json(schema: z.ZodType) {
  return { 'application/json': { schema } };
}

/** What several routes answer is told once, under the name that it has in the code. */
function name(exported: Readonly<Record<string, unknown>>): void {
  for (const [id, schema] of Object.entries(exported)) {
    if (schema instanceof z.ZodObject) z.globalRegistry.add(schema, { ...z.globalRegistry.get(schema), id });
  }
}
