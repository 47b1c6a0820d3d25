/** What holds for every operation, and so is written once and not at every controller. */
import type { OpenAPIObject } from '@nestjs/swagger';
import { type Endpoint, ERROR_COMPONENTS, errorResponses, type Operation } from './openapi-statuses.js';

type PathItem = OpenAPIObject['paths'][string];
type Responses = Operation['responses'];

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

/** A stream is described by its events (docs/contract/streaming.md), not by the object it ends with. */
const EVENT_STREAM = { schema: { type: 'string' as const, description: 'Server-sent events.' } };

/** Fastify calls the rest of a path `*`; OpenAPI wants the name that stands in the path. */
function nameWildcards(path: string, operation: Operation): Operation['parameters'] {
  const names = [...path.matchAll(/\{([^}]+)\}/g)].map((match) => match[1]!);
  return operation.parameters?.map((parameter) =>
    'name' in parameter && parameter.name === '*' ? { ...parameter, name: names.at(-1) ?? '*' } : parameter,
  );
}

function withStreams(responses: Responses): Responses {
  const finished = Object.entries(responses).map(([status, response]) => {
    if (!response || !('content' in response) || !response.content?.['text/event-stream'])
      return [status, response];
    return [status, { ...response, content: { ...response.content, 'text/event-stream': EVENT_STREAM } }];
  });
  return Object.fromEntries(finished) as Responses;
}

/** What a handler says itself, with content of its own, goes before what holds for all. */
function responsesOf(endpoint: Endpoint): Responses {
  const own = Object.entries(endpoint.operation.responses).filter(
    ([status, response]) => Number(status) < 400 || (response && 'content' in response),
  );
  return { ...errorResponses(endpoint), ...withStreams(Object.fromEntries(own) as Responses) };
}

function finishOperation({ method, path, operation }: Endpoint): Operation {
  const parameters = nameWildcards(path, operation);
  return {
    ...operation,
    ...(parameters ? { parameters } : {}),
    ...(OPEN_PATHS.test(path) ? { security: [] } : {}),
    responses: responsesOf({ method, path, operation }),
  };
}

function finishPath(path: string, item: PathItem): PathItem {
  const finished = METHODS.flatMap((method) => {
    const operation = item[method];
    return operation ? [[method, finishOperation({ method, path, operation })] as const] : [];
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
      responses: ERROR_COMPONENTS,
    },
  };
}
