/** Which errors an operation may answer with: read off its path, its parameters and its body. */
import type { OpenAPIObject } from '@nestjs/swagger';

type PathItem = OpenAPIObject['paths'][string];
export type Method = 'get' | 'put' | 'post' | 'delete' | 'patch';
export type Operation = NonNullable<PathItem[Method]>;
type Responses = Operation['responses'];

export interface Endpoint {
  readonly method: Method;
  readonly path: string;
  readonly operation: Operation;
}

const isOpen = ({ path }: Endpoint): boolean => path.startsWith('/health/');
/** Operators' requests are not counted. */
const isProjects = ({ path }: Endpoint): boolean => path.startsWith('/v1/');
const writes = ({ method }: Endpoint): boolean => method !== 'get';
/** Reading a container, or what is in it, is written down as its use. */
const stores = (endpoint: Endpoint): boolean =>
  writes(endpoint) || endpoint.path.startsWith('/v1/containers/');
const parameters = ({ operation }: Endpoint) =>
  (operation.parameters ?? []).flatMap((parameter) => ('in' in parameter ? [parameter] : []));
const takesId = (endpoint: Endpoint): boolean => parameters(endpoint).some((each) => each.in === 'path');
const hasParameter = (endpoint: Endpoint, name: string): boolean =>
  parameters(endpoint).some((each) => each.name === name);
const hasBody = ({ operation }: Endpoint): boolean => operation.requestBody !== undefined;
const isDownload = ({ path }: Endpoint): boolean => path.endsWith('/content');
/** A body may name a container, a file, a response or a conversation that is not there. */
const mayRefer = (endpoint: Endpoint): boolean =>
  isProjects(endpoint) && hasBody(endpoint) && !endpoint.path.startsWith('/v1/webhook');
const asksModels = ({ path }: Endpoint): boolean => /^\/v1\/(responses|models)\b/.test(path);

interface Rule {
  readonly status: number;
  readonly description: string;
  readonly applies: (endpoint: Endpoint) => boolean;
  /** Says when to come again. */
  readonly retry?: boolean;
}

const RULES: readonly Rule[] = [
  { status: 400, description: 'The request is not valid; `param` names the field.', applies: () => true },
  {
    status: 401,
    description: 'There is no key, or it is unknown or revoked.',
    applies: (endpoint) => !isOpen(endpoint),
  },
  {
    status: 403,
    description: 'The key is valid, but not for this.',
    applies: (endpoint) => !isOpen(endpoint),
  },
  {
    status: 404,
    description: 'What the request refers to does not exist in this project.',
    applies: (endpoint) => takesId(endpoint) || hasParameter(endpoint, 'after') || mayRefer(endpoint),
  },
  {
    status: 405,
    description: 'The path takes other methods, which the header `allow` names.',
    applies: () => true,
  },
  { status: 408, description: 'The body did not arrive in time.', applies: writes },
  {
    status: 409,
    description:
      'A request with the same `Idempotency-Key` is still being worked on, or its reply is not kept.',
    applies: (endpoint) => hasParameter(endpoint, 'Idempotency-Key'),
    retry: true,
  },
  { status: 413, description: 'The body, or a file in it, is too large.', applies: writes },
  { status: 414, description: 'A part of the URL is longer than any id.', applies: takesId },
  { status: 415, description: 'The body is of a type that this endpoint does not read.', applies: writes },
  { status: 416, description: 'The requested range lies outside the file.', applies: isDownload },
  {
    status: 417,
    description: 'The request expects something other than `100-continue`.',
    applies: () => true,
  },
  {
    status: 429,
    description: 'Too many requests, runs or containers at a time.',
    applies: isProjects,
    retry: true,
  },
  { status: 431, description: 'The URL and headers are too large.', applies: () => true },
  { status: 500, description: 'A fault of the server.', applies: () => true },
  { status: 502, description: 'The endpoint of the model failed.', applies: asksModels },
  {
    status: 503,
    description: 'The server is full, drains, or waits for its database.',
    applies: () => true,
    retry: true,
  },
  { status: 507, description: 'The disk of the server is full.', applies: stores },
];

const nameOf = (status: number): string => `Error${status}`;

const RETRY_AFTER = {
  'retry-after': { description: 'Seconds to wait, where that helps.', schema: { type: 'integer' as const } },
};

/** The components that `errorResponses` refers to. */
export const ERROR_COMPONENTS = Object.fromEntries(
  RULES.map(({ status, description, retry }) => [
    nameOf(status),
    {
      description,
      ...(retry ? { headers: RETRY_AFTER } : {}),
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
    },
  ]),
);

/** Called for every operation of the document. */
export function errorResponses(endpoint: Endpoint): Responses {
  const rules = RULES.filter(({ applies }) => applies(endpoint));
  return Object.fromEntries(
    rules.map(({ status }) => [status, { $ref: `#/components/responses/${nameOf(status)}` }]),
  );
}
