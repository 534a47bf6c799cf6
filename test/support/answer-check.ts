import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { z } from 'zod';
import type { ApiAnswer } from '../../controller/src/api/api.ts';

const Document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
});
const Operation = z.looseObject({
  responses: z.record(
    z.string(),
    z.looseObject({ description: z.string(), content: z.record(z.string(), z.unknown()).optional() }),
  ),
});

/** Checks answers by what an OpenAPI document says of them; throws where one is not as declared. */
export function answerCheck(openApi: object): (answer: ApiAnswer) => void {
  const { paths } = Document.parse(openApi);
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ $id: 'openapi', ...openApi });
  const validators = new Map<string, ValidateFunction>();

  function validatorOf(pointer: string): ValidateFunction {
    const known = validators.get(pointer);
    const validator = known ?? ajv.compile({ $ref: `openapi${pointer}` });
    validators.set(pointer, validator);
    return validator;
  }

  return ({ method, route, status, type, text }) => {
    const path = route.replaceAll(/:(\w+)/g, '{$1}');
    const operation = Operation.safeParse(paths[path]?.[method.toLowerCase()]).data;
    if (!operation) return; // no such route, or one that is no part of the contract
    const answered = `${method} ${path} answered ${status} (${type})`;
    const response = operation.responses[String(status)];
    if (!response) throw new Error(`${answered}, which it does not declare`);
    if (text === '' && !response.content) return;
    if (!response.content?.[type]) throw new Error(`${answered}: this type of content is not declared`);
    const answer: unknown = JSON.parse(text);
    if (status >= 400) {
      const { code } = z.looseObject({ code: z.string() }).parse(answer);
      if (!response.description.includes(`\`${code}\``))
        throw new Error(`${answered} with an undeclared code: ${code}`);
    }
    const steps = ['paths', path, method.toLowerCase(), 'responses', String(status), 'content', type, 'schema'];
    const validate = validatorOf(`#/${steps.map(escaped).join('/')}`);
    if (!validate(answer)) throw new Error(`${answered}, not as declared: ${ajv.errorsText(validate.errors)}\n${text}`);
  };
}

function escaped(step: string): string {
  return encodeURIComponent(step.replaceAll('~', '~0').replaceAll('/', '~1'));
}
