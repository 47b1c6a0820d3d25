/** Odd values at every operation: whatever comes, the reply is one that docs/api/openapi.json names. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ADMIN_KEY, type AdminApp, FIRST_KEY, startAdminApp } from '../admin/admin-app.js';

interface Described {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, unknown>>;
}
interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, Described>>;
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Described }>> };
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly responses: Readonly<Record<string, Described>>;
    readonly schemas: Readonly<Record<string, { readonly properties?: object }>>;
  };
}

const FILE = join(resolve(import.meta.dirname, '../../..'), 'docs/api/openapi.json');
const document = JSON.parse(readFileSync(FILE, 'utf8')) as Document;
/** These change what the other cases meet: they stop new work, or begin it again. */
const LEFT_OUT = new Set(['POST /admin/v1/drain', 'POST /admin/v1/resume']);
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).flatMap(([verb, operation]) => {
    const method = verb.toUpperCase();
    return LEFT_OUT.has(`${method} ${path}`) ? [] : [{ method, path, operation }];
  }),
);
type Case = (typeof operations)[number];

const part = (ref: string): string => ref.split('/').at(-1)!;

/** Documented types of content of a status; undefined when the status is not documented. */
function contentOf({ operation }: Case, status: number): readonly string[] | undefined {
  const response = operation.responses[String(status)];
  const described =
    response?.$ref === undefined ? response : document.components.responses[part(response.$ref)];
  return described && Object.keys(described.content ?? {});
}

/** The fields that a JSON body may have. */
function fieldsOf({ operation }: Case): readonly string[] {
  const schema = operation.requestBody?.content['application/json']?.schema;
  if (schema === undefined) return [];
  const found = schema.$ref === undefined ? schema : document.components.schemas[part(schema.$ref)];
  return Object.keys((found as { readonly properties?: object }).properties ?? {});
}

interface Sent {
  readonly name: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: string | Buffer;
}

/** As JSON texts: some of them have no value in this language. */
const ODD_VALUES = [
  ...['null', 'true', '[]', '{}', '""', '-1', '1e999', '-0', '0.1', '9007199254740993', '1e-400'],
  ...[
    '"\\u0000"',
    '"\\ud800"',
    '"\\udfff\\ud800"',
    '"\\u202e"',
    '"\\ufeff"',
    '"../../etc/passwd"',
    '[[[[]]]]',
  ],
  ...['{"__proto__":null}', '{"constructor":{"prototype":1}}', '"%00"', '[null]', '{"type":"__proto__"}'],
];
const ODD_IDS = [
  '%F0%9F%98%80',
  '..%2f..',
  '%ff',
  '%00',
  'a%0d%0ab',
  "';--",
  '__proto__',
  '*',
  'x'.repeat(600),
];
const ODD_QUERIES = [
  ...['limit=1e9', 'limit=-1', 'limit=', 'limit=1&limit=2', 'limit[]=1', 'limit=٣', 'order=__proto__'],
  ...[
    'after=%00',
    'after=%ed%a0%80',
    'after[a][b]=c',
    'include[]=%00',
    '%',
    '&&&==',
    'stream=2',
    '__proto__[a]=1',
  ],
];
const ODD_HEADERS: readonly Readonly<Record<string, string>>[] = [
  { 'idempotency-key': '' },
  { 'idempotency-key': 'ÿ' },
  { range: 'bytes=99999999999999999999-' },
  { range: 'lines=1' },
  { 'if-range': '"' },
  { accept: '\t;;,' },
  { 'accept-encoding': 'x;q=9' },
  { 'openai-organization': 'ÿ'.repeat(2_000) },
];
const BOUNDARY = 'multipart/form-data; boundary=b';
const multipart = (head: string, content = 'x') => `--b\r\n${head}\r\n\r\n${content}\r\n--b--\r\n`;
const ODD_BODIES: readonly (readonly [type: string, payload: string | Buffer])[] = [
  ['application/json', ''],
  ['application/json', '\ufeff{}'],
  ['application/json', Buffer.from([0xff, 0xfe, 0x7b, 0x7d])],
  ['application/json; charset=utf-7', '{}'],
  ['application/json;;;', '{}'],
  ['text/plain', '{}'],
  ['\u00ff', '{}'],
  ['multipart/form-data', 'x'],
  [BOUNDARY, ''],
  [BOUNDARY, '--b--\r\n'],
  [BOUNDARY, '--b\r\n'],
  [BOUNDARY, multipart('x: y')],
  [BOUNDARY, multipart('content-disposition: form-data')],
  [BOUNDARY, multipart('content-disposition: form-data; name="__proto__"')],
  [BOUNDARY, multipart('content-disposition: form-data; name="purpose"', '\u0000')],
  [BOUNDARY, multipart('content-disposition: form-data; name="expires_after[seconds]"', '1e999')],
  [BOUNDARY, multipart('content-disposition: form-data; name="file"; filename=""')],
  [BOUNDARY, multipart('content-disposition: form-data; name="file"; filename="..%2f\u0001.csv"')],
];

function pathOf({ path }: Case, id: string): string {
  return path.replaceAll(/\{[^}]+\}/g, id);
}

function oddRequests(each: Case): Sent[] {
  const url = pathOf(each, 'none');
  const json = { 'content-type': 'application/json' };
  const ids = each.path.includes('{')
    ? ODD_IDS.map((id) => ({ name: `id ${id.slice(0, 20)}`, url: pathOf(each, id) }))
    : [];
  const queries = ODD_QUERIES.map((query) => ({ name: `query ${query}`, url: `${url}?${query}` }));
  const headers = ODD_HEADERS.map((odd) => ({
    name: `headers ${JSON.stringify(odd).slice(0, 60)}`,
    headers: odd,
  }));
  if (each.method === 'GET') return [...ids, ...queries, ...headers];
  const whole = ODD_VALUES.map((value) => ({ name: `body ${value}`, headers: json, payload: value }));
  const fields = fieldsOf(each).flatMap((field) =>
    ODD_VALUES.map((value) => ({
      name: `${field}: ${value}`,
      headers: json,
      payload: `{"model":"python","input":"print:1","name":"a",${JSON.stringify(field)}:${value}}`,
    })),
  );
  const bodies = ODD_BODIES.map(([type, payload]) => ({
    name: `${type} ${payload.length} bytes`,
    headers: { 'content-type': type },
    payload,
  }));
  return [...ids, ...queries, ...headers, ...whole, ...fields, ...bodies];
}

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp({ SANDBOX_POOL: '', WEBHOOK_ENDPOINTS_PER_PROJECT: '100' });
});
afterAll(() => server?.stop());

const matches = (documented: readonly string[], type: string): boolean =>
  documented.some((each) => each === '*/*' || each === type);

/** What is wrong with the reply to a request; undefined when the document knows it. */
async function wrongReply(each: Case, sent: Sent): Promise<string | undefined> {
  const key = each.path.startsWith('/v1/') ? FIRST_KEY : ADMIN_KEY;
  const { statusCode, headers, body } = await server.app.inject({
    method: each.method as 'POST',
    url: sent.url ?? pathOf(each, 'none'),
    headers: { authorization: `Bearer ${key}`, ...sent.headers },
    ...(sent.payload === undefined ? {} : { payload: sent.payload }),
  });
  const type = String(headers['content-type'] ?? '').split(';')[0]!;
  const documented = contentOf(each, statusCode);
  const isKnown = documented !== undefined && matches(documented, type);
  if (isKnown && (statusCode < 500 || each.path === '/health/ready')) return undefined;
  return `${sent.name}: ${statusCode} ${type} ${body.slice(0, 200)}`;
}

describe('odd requests', () => {
  it('are looked at: an undocumented status would be seen', async () => {
    const models = operations.find(({ method, path }) => method === 'GET' && path === '/v1/models')!;
    const blind = { ...models, operation: { ...models.operation, responses: {} } };
    expect(await wrongReply(blind, { name: 'honest' })).toMatch(/^honest: 200 /);
    expect(await wrongReply(models, { name: 'honest' })).toBeUndefined();
  });

  it.each(operations.map((each) => [`${each.method} ${each.path}`, each] as const))(
    '%s answers them as documented',
    async (_, each) => {
      const wrong: string[] = [];
      for (const sent of oddRequests(each)) {
        const reply = await wrongReply(each, sent);
        if (reply !== undefined) wrong.push(reply);
      }
      expect(wrong).toEqual([]);
    },
  );
});
