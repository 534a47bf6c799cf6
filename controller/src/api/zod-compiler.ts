import type { FastifySchemaCompiler, FastifySerializerCompiler, FastifyTypeProvider } from 'fastify';
import { z } from 'zod';
import { type ProblemCode, ProblemError } from '#shared/problem.ts';

/** A request's body, query and parameters have the types of their zod schemas. */
export interface ZodTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown;
  readonly serializer: this['schema'] extends z.ZodType ? z.input<this['schema']> : unknown;
}

const nameOfPart: Record<string, string> = { body: 'body', querystring: 'query', params: 'path' };

/** Checks each part of a request with its zod schema; what does not fit becomes a problem that names every field. */
export const zodCompiler: FastifySchemaCompiler<unknown> = ({ schema, httpPart }) => {
  if (!(schema instanceof z.ZodType)) throw new Error(`the schema of ${httpPart ?? 'a route'} is not a zod schema`);
  return (data) => {
    const parsed = schema.safeParse(data);
    return parsed.success ? { value: parsed.data } : { error: refusal(httpPart ?? '', parsed.error.issues) };
  };
};

/** Answers have the types of their schemas already where they are made; they are not looked at again. */
export const jsonSerializer: FastifySerializerCompiler<unknown> = () => (data) => JSON.stringify(data);

function refusal(httpPart: string, issues: readonly z.core.$ZodIssue[]): ProblemError {
  const part = nameOfPart[httpPart] ?? httpPart;
  const fields = issues.map((issue) => ({ field: [part, ...issue.path].join('.'), message: issue.message }));
  const code: ProblemCode = fields.some(({ field }) => field === 'path.user') ? 'user-invalid' : 'request-invalid';
  const detail = `refused: ${fields.map(({ field, message }) => `${field}: ${message}`).join('; ')}. Correct it and send the request again`;
  return new ProblemError(code, detail, { extras: { fields } });
}
