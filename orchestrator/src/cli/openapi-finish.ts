/** What holds for every operation, and so is written once and not at every controller. */
import type { OpenAPIObject } from '@nestjs/swagger';

type PathItem = OpenAPIObject['paths'][string];
type Operation = NonNullable<PathItem['get']>;

const METHODS = ['get', 'put', 'post', 'delete', 'patch'] as const;

/** Answered without a key. */
const OPEN_PATHS = /^\/health\//;

const ERROR_SCHEMA = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['message', 'type', 'param', 'code'],
      properties: {
        message: { type: 'string', description: 'What is wrong, and what to do about it.' },
        type: { type: 'string' },
        param: { type: 'string', nullable: true, description: 'The field of the request that is at fault.' },
        code: { type: 'string', nullable: true },
      },
    },
  },
};

const ERROR_RESPONSE = {
  description: 'Any other status: the error envelope.',
  content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
};

/** Fastify calls the rest of a path `*`; OpenAPI wants the name that stands in the path. */
function nameWildcards(path: string, operation: Operation): Operation['parameters'] {
  const names = [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]!);
  return operation.parameters?.map((parameter) =>
    'name' in parameter && parameter.name === '*' ? { ...parameter, name: names.at(-1) ?? '*' } : parameter,
  );
}

function finishOperation(path: string, operation: Operation): Operation {
  const parameters = nameWildcards(path, operation);
  return {
    ...operation,
    ...(parameters ? { parameters } : {}),
    ...(OPEN_PATHS.test(path) ? { security: [] } : {}),
    responses: { ...operation.responses, default: { $ref: '#/components/responses/Error' } },
  };
}

function finishPath(path: string, item: PathItem): PathItem {
  const finished = METHODS.flatMap((method) => {
    const operation = item[method];
    return operation ? [[method, finishOperation(path, operation)] as const] : [];
  });
  return { ...item, ...Object.fromEntries(finished) };
}

/** So that neither the order of modules nor that of imports shows in the file. */
function sorted<T>(record: Readonly<Record<string, T>> = {}): Record<string, T> {
  return Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

export function finishDocument(document: OpenAPIObject): OpenAPIObject {
  const paths = Object.entries(document.paths).map(([path, item]) => [path, finishPath(path, item)] as const);
  return {
    ...document,
    paths: sorted(Object.fromEntries(paths)),
    components: {
      ...document.components,
      schemas: sorted({ Error: ERROR_SCHEMA, ...document.components?.schemas }),
      responses: { Error: ERROR_RESPONSE },
    },
  };
}
