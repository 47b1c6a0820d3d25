/** What docs/api/openapi.json says of errors and content, for every operation. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

interface Reference {
  readonly $ref: string;
}
interface Described {
  readonly content?: Readonly<Record<string, unknown>>;
}
interface Operation {
  readonly responses: Readonly<Record<string, Reference | Described>>;
  readonly requestBody?: unknown;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly responses: Readonly<Record<string, Described>> };
}

const FILE = join(resolve(import.meta.dirname, '../../..'), 'docs/api/openapi.json');
const { paths, components } = JSON.parse(readFileSync(FILE, 'utf8')) as Document;

const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    name: `${method.toUpperCase()} ${path}`,
    operation,
  })),
);
const statusesOf = (name: string) =>
  Object.keys(operations.find((each) => each.name === name)!.operation.responses).map(Number);
const contentOf = (name: string, status: number) => {
  const { operation } = operations.find((each) => each.name === name)!;
  return Object.keys((operation.responses[status] as Described).content ?? {});
};

describe('docs/api/openapi.json', () => {
  it('names statuses one by one, and content for each of them', () => {
    const unclear = operations.flatMap(({ name, operation }) =>
      Object.entries(operation.responses).flatMap(([status, response]) => {
        const described =
          '$ref' in response ? components.responses[response.$ref.split('/').at(-1)!] : response;
        const isClear = /^\d{3}$/.test(status) && Object.keys(described?.content ?? {}).length > 0;
        return isClear ? [] : [`${name} ${status}`];
      }),
    );
    expect(operations.length).toBeGreaterThan(70);
    expect(unclear).toEqual([]);
  });

  it('knows keys that are refused wherever a key is asked for, and nowhere else', () => {
    for (const { name } of operations)
      expect([name, statusesOf(name).includes(401)]).toEqual([name, !name.includes(' /health/')]);
  });

  it('knows what is particular to some operations', () => {
    expect(statusesOf('POST /v1/responses')).toEqual(
      expect.arrayContaining([200, 400, 404, 409, 413, 415, 429, 502, 503, 507]),
    );
    expect(contentOf('POST /v1/responses', 200)).toEqual(['application/json', 'text/event-stream']);
    expect(contentOf('GET /v1/responses/{response_id}', 200)).toContain('text/event-stream');
    expect(statusesOf('GET /v1/files/{file_id}/content')).toEqual(expect.arrayContaining([206, 416]));
    expect(contentOf('GET /v1/files/{file_id}/content', 206)).toContain('application/octet-stream');
    expect(statusesOf('GET /v1/files')).not.toContain(409);
    expect(statusesOf('DELETE /v1/models/{path}')).not.toContain(200);
  });

  it('knows that a run may be told as events, that reading a container counts as its use, and other methods', () => {
    const run = 'POST /v1/containers/{container_id}/executions';
    expect(contentOf(run, 200)).toEqual(['application/json', 'text/event-stream']);
    expect(statusesOf('GET /v1/containers/{container_id}/files')).toContain(507);
    expect(statusesOf('GET /v1/files')).not.toContain(507);
    for (const { name } of operations)
      expect([name, statusesOf(name)]).toEqual([name, expect.arrayContaining([405])]);
  });
});
