/** The nodes against an HTTP endpoint that remembers what it was asked. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CodeInterpreterTool } from '../../../nodes/CodeInterpreterTool/CodeInterpreterTool.node.js';
import { Containers } from '../../../nodes/Containers/Containers.node.js';
import { Files } from '../../../nodes/Files/Files.node.js';
import { Responses } from '../../../nodes/Responses/Responses.node.js';
import { type FakeContextOptions, runNode } from './context.js';

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly key: string;
}

const asked: Asked[] = [];
let answers: Record<string, unknown> = {};
let baseUrl = '';

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

const server = createServer((request, reply) => {
  void (async () => {
    const body = await bodyOf(request);
    const path = (request.url ?? '').replace(/^\/v1/, '');
    asked.push({ method: request.method ?? '', path, body, key: request.headers.authorization ?? '' });
    const route = `${request.method} ${path.split('?')[0]}`;
    const known = answers[route];
    const answer = Array.isArray(known) ? (known.length > 1 ? known.shift() : known[0]) : known;
    if (answer === undefined) {
      reply.writeHead(404, { 'content-type': 'application/json' });
      reply.end(
        JSON.stringify({ error: { message: `Nothing at ${route}.`, type: 'invalid_request_error' } }),
      );
    } else if (Buffer.isBuffer(answer)) {
      reply.writeHead(200, { 'content-type': 'application/octet-stream' }).end(answer);
    } else {
      reply.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    }
  })();
});

beforeAll(async () => {
  await new Promise<void>((done) => void server.listen(0, '127.0.0.1', done));
  baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`;
});
afterAll(() => void server.close());
beforeEach(() => {
  asked.length = 0;
  answers = {};
});

const at = (more: Partial<FakeContextOptions>): FakeContextOptions => ({ baseUrl, ...more });
const json = (index: number): Record<string, unknown> =>
  JSON.parse(Buffer.from(asked[index]?.body ?? '', 'latin1').toString()) as never;

const execution = (more: object = {}) => ({
  id: 'exec_1',
  object: 'container.execution',
  container_id: 'cntr_1',
  status: 'completed',
  outputs: [],
  error: null,
  files: [],
  state_lost: false,
  duration_ms: 5,
  ...more,
});

/** Lets the fake server answer with a result file, under the name that the node made up. */
function answerWithResult(value: unknown, more: object = {}): void {
  answers['POST /containers'] = { id: 'cntr_1' };
  Object.defineProperty(answers, 'POST /containers/cntr_1/executions', {
    get: () => {
      const { code } = JSON.parse(asked.at(-1)?.body ?? '{}') as { code: string };
      const target = /target=_n8n_text\("([^"]+)"\)/.exec(code)?.[1] ?? '';
      const path = Buffer.from(target, 'base64').toString();
      return execution({ files: [{ id: 'cfile_r', path, bytes: 1, change: 'created' }], ...more });
    },
  });
  answers['GET /containers/cntr_1/files/cfile_r/content'] = Buffer.from(
    JSON.stringify({ from: 'result', value }),
  );
  answers['DELETE /containers/cntr_1/files/cfile_r'] = { deleted: true };
}

describe('Run Code', () => {
  const items = [{ json: { a: 1 } }, { json: { a: 2 } }];

  it('runs once in the container of the execution, and pairs items that stem from one each', async () => {
    answerWithResult([{ b: 1 }, { b: 2 }]);
    const { output, context } = await runNode(
      new Containers(),
      at({ items, parameters: { code: 'result = items' } }),
    );
    expect(json(0)).toMatchObject({ session_key: 'n8n:instance:flow:execution:run', name: 'n8n: Flow' });
    expect(output).toEqual([
      { json: { b: 1 }, pairedItem: { item: 0 } },
      { json: { b: 2 }, pairedItem: { item: 1 } },
    ]);
    expect(asked.map(({ method }) => method)).toEqual(['POST', 'POST', 'GET', 'DELETE']);
    expect(asked[0]?.key).toBe('Bearer key');
    expect(context.finishHandlers).toHaveLength(1);
  });

  it('runs for each item', async () => {
    answerWithResult({ b: 1 });
    const { output } = await runNode(
      new Containers(),
      at({ items, parameters: { mode: 'each', code: 'x' } }),
    );
    expect(output.map(({ pairedItem }) => pairedItem)).toEqual([{ item: 0 }, { item: 1 }]);
  });

  it('puts charts and files into binary fields', async () => {
    answers['POST /containers'] = { id: 'cntr_1' };
    answers['POST /containers/cntr_1/executions'] = execution({
      outputs: [{ type: 'image', file_id: 'cfile_i', mime_type: 'image/png', bytes: 3 }],
      files: [{ id: 'cfile_f', path: '/mnt/data/out/table.csv', bytes: 3, change: 'created' }],
    });
    answers['GET /containers/cntr_1/files/cfile_i/content'] = Buffer.from('png');
    answers['GET /containers/cntr_1/files/cfile_f/content'] = Buffer.from('csv');
    const run = async (parameters: object) =>
      (await runNode(new Containers(), at({ parameters: { code: 'x', ...parameters } }))).output;
    const [all] = await run({});
    expect(all?.binary).toMatchObject({
      data: { fileName: 'figure-1.png', mimeType: 'image/png' },
      data_1: { fileName: 'table.csv', mimeType: 'text/csv' },
    });
    const [images] = await run({ downloadFiles: 'images', options: { outputField: 'chart' } });
    expect(Object.keys(images?.binary ?? {})).toEqual(['chart']);
    const split = await run({ options: { splitFiles: true } });
    expect(split.map(({ binary }) => binary?.['data']?.fileName)).toEqual(['figure-1.png', 'table.csv']);
    const [none] = await run({ downloadFiles: 'none' });
    expect(none?.binary).toBeUndefined();
    expect(none?.json['files']).toHaveLength(2);
  });

  const failed = execution({
    error: { name: 'ZeroDivisionError', value: 'division by zero', traceback: 'line 1' },
  });

  it('hands on a traceback as data, or stops if asked to', async () => {
    answers['POST /containers'] = { id: 'cntr_1' };
    answers['POST /containers/cntr_1/executions'] = failed;
    const { output } = await runNode(new Containers(), at({ parameters: { code: '1/0' } }));
    expect(output[0]?.json).toMatchObject({
      status: 'code_error',
      error: { name: 'ZeroDivisionError', traceback: 'line 1' },
    });
    const stopping = { code: '1/0', options: { onCodeError: 'stop' } };
    await expect(runNode(new Containers(), at({ parameters: stopping }))).rejects.toThrow(
      'ZeroDivisionError: division by zero [item 0]',
    );
    const going = await runNode(new Containers(), at({ parameters: stopping, continueOnFail: true }));
    expect(going.output[0]?.json['error']).toContain('ZeroDivisionError');
  });

  it('uploads items that are too many for the program', async () => {
    answerWithResult({});
    answers['POST /containers/cntr_1/files'] = { path: '/mnt/data/items.json' };
    const many = [{ json: { text: 'x'.repeat(250_000) } }];
    await runNode(new Containers(), at({ items: many, parameters: { code: 'x' } }));
    expect(asked[1]?.path).toBe('/containers/cntr_1/files');
    expect(asked[1]?.body).toContain('xxxx');
    expect((json(2)['code'] as string).length).toBeLessThan(20_000);
  });

  it('gives an agent everything as text', async () => {
    answerWithResult([1, 2], { outputs: [{ type: 'stdout', text: 'hello' }] });
    const { output } = await runNode(new Containers(), at({ asTool: true, parameters: { code: 'x' } }));
    expect(output[0]?.json).toMatchObject({ stdout: 'hello', result: [1, 2] });
  });

  it('names the field that is empty', async () => {
    await expect(runNode(new Containers(), at({ parameters: { code: ' ' } }))).rejects.toThrow(
      "'Python Code' is empty [item 0]",
    );
    const custom = { code: 'x', session: 'custom' };
    await expect(runNode(new Containers(), at({ parameters: custom }))).rejects.toThrow(
      "'Session Key' is empty",
    );
  });
});

describe('Containers and their files', () => {
  it('are listed page by page, up to the limit', async () => {
    const page = (ids: string[], hasMore: boolean) => ({
      data: ids.map((id) => ({ id, status: 'running' })),
      has_more: hasMore,
    });
    answers['GET /containers'] = [page(['a', 'b'], true), page(['c'], false)];
    const { output } = await runNode(
      new Containers(),
      at({ parameters: { operation: 'getMany', returnAll: true } }),
    );
    expect(output.map((item) => item.json['container_id'])).toEqual(['a', 'b', 'c']);
    expect(asked[1]?.path).toContain('after=b');
  });

  it('keep IDs from reaching other addresses', async () => {
    const parameters = { operation: 'get', containerId: { mode: 'id', value: '../files/x?y' } };
    await expect(runNode(new Containers(), at({ parameters }))).rejects.toThrow('Nothing at');
    expect(asked[0]?.path).toBe('/containers/..%2Ffiles%2Fx%3Fy');
  });

  it('answer a deletion with deleted: true', async () => {
    answers['DELETE /containers/cntr_1'] = { deleted: true };
    const parameters = { operation: 'delete', containerId: { mode: 'id', value: 'cntr_1' } };
    const { output } = await runNode(new Containers(), at({ parameters }));
    expect(output[0]?.json).toEqual({ deleted: true, container_id: 'cntr_1' });
  });
});

describe('Files', () => {
  const item = (content: Buffer) => ({
    json: {},
    binary: { data: { data: content.toString('base64'), mimeType: 'text/csv', fileName: 'ü.csv' } },
  });

  it('are uploaded at once when small', async () => {
    answers['POST /files'] = { id: 'file-1', filename: 'ü.csv' };
    const { output } = await runNode(new Files(), at({ items: [item(Buffer.from('a,b'))] }));
    expect(output[0]?.json).toMatchObject({ id: 'file-1', mime_type: 'text/csv' });
    expect(asked[0]?.body).toContain('user_data');
  });

  it('are uploaded in parts when large', async () => {
    answers['POST /uploads'] = { id: 'upload_1' };
    answers['POST /uploads/upload_1/parts'] = [{ id: 'part_1' }, { id: 'part_2' }];
    answers['POST /uploads/upload_1/complete'] = {
      id: 'upload_1',
      file: { id: 'file-1', filename: 'big.csv' },
    };
    const { output } = await runNode(new Files(), at({ items: [item(Buffer.alloc(17 * 1024 * 1024))] }));
    expect(output[0]?.json['id']).toBe('file-1');
    expect(json(0)).toMatchObject({ bytes: 17 * 1024 * 1024, filename: 'ü.csv', purpose: 'user_data' });
    expect(json(3)).toEqual({ part_ids: ['part_1', 'part_2'] });
  }, 60_000);

  it('are downloaded under their own name', async () => {
    answers['GET /files/file-1'] = { id: 'file-1', filename: 'r.xlsx' };
    answers['GET /files/file-1/content'] = Buffer.from('xlsx');
    const parameters = { operation: 'download', fileId: { mode: 'id', value: 'file-1' } };
    const { output, context } = await runNode(new Files(), at({ parameters }));
    expect(output[0]?.binary?.['data']).toMatchObject({ fileName: 'r.xlsx' });
    expect([...context.stored.values()].map(String)).toEqual(['xlsx']);
  });
});

describe('Responses', () => {
  const response = (status: string) => ({ id: 'resp_1', status, model: 'm', output: [], error: null });
  const parameters = { model: { mode: 'id', value: 'm' }, prompt: 'p' };

  it('are polled until they end', async () => {
    answers['POST /responses'] = response('queued');
    answers['GET /responses/resp_1'] = [response('in_progress'), response('completed')];
    const { output } = await runNode(new Responses(), at({ parameters }));
    expect(json(0)).toMatchObject({
      model: 'm',
      input: 'p',
      background: true,
      tools: [{ type: 'code_interpreter', container: { type: 'auto' } }],
    });
    expect(output[0]?.json).toMatchObject({ id: 'resp_1', status: 'completed' });
  });

  it.each(['cancelled', 'incomplete'])('that end as %s are told, not waited for', async (status) => {
    answers['POST /responses'] = response(status);
    const { output } = await runNode(new Responses(), at({ parameters }));
    expect(output[0]?.json['status']).toBe(status);
  });

  it('that fail stop the workflow and say why', async () => {
    answers['POST /responses'] = {
      ...response('failed'),
      error: { code: 'server_error', message: 'no model' },
    };
    await expect(runNode(new Responses(), at({ parameters }))).rejects.toThrow('no model [item 0]');
  });

  it('give up at the time limit and tell how to go on', async () => {
    answers['POST /responses'] = response('queued');
    answers['GET /responses/resp_1'] = response('in_progress');
    const short = { ...parameters, options: { timeout: 0.4 } };
    await expect(runNode(new Responses(), at({ parameters: short }))).rejects.toMatchObject({
      description: expect.stringContaining('Wait for Completion') as string,
    });
  });

  it('release the execution and name where to call back', async () => {
    answers['POST /responses'] = response('queued');
    const released = { ...parameters, runMode: 'callback' };
    const { context } = await runNode(new Responses(), at({ parameters: released }));
    expect(json(0)).toMatchObject({ callback_url: 'http://n8n.test/webhook-waiting/run', background: true });
    expect(context.waits).toHaveLength(1);
    const two = { parameters: released, items: [{ json: {} }, { json: {} }] };
    await expect(runNode(new Responses(), at(two))).rejects.toThrow("'Run Mode' takes one item");
  });

  it('carry files, session and options', async () => {
    answers['POST /files'] = { id: 'file-9' };
    answers['POST /responses'] = response('completed');
    await runNode(
      new Responses(),
      at({
        items: [{ json: {}, binary: { data: { data: 'YQ==', mimeType: 'text/csv', fileName: 'a.csv' } } }],
        parameters: {
          ...parameters,
          inputFiles: 'data, file-7',
          container: 'session',
          session: 'custom',
          sessionKey: 'k',
          options: { memory: '4g', jsonSchema: '{"type":"object"}', previousResponseId: 'resp_0' },
        },
      }),
    );
    expect(json(1)).toMatchObject({
      previous_response_id: 'resp_0',
      text: { format: { type: 'json_schema', name: 'output', schema: { type: 'object' } } },
      tools: [
        {
          container: {
            type: 'auto',
            file_ids: ['file-7', 'file-9'],
            memory_limit: '4g',
            session_key: 'n8n:instance:custom:k',
          },
        },
      ],
    });
  });
});

describe('Code Interpreter Tool', () => {
  it('runs what the agent wrote in the container of the chat, and answers with text', async () => {
    answers['POST /containers'] = { id: 'cntr_1' };
    answers['POST /containers/cntr_1/executions'] = execution({
      outputs: [{ type: 'stdout', text: '4' }],
      files: [{ id: 'cfile_f', path: '/mnt/data/a.png', bytes: 1, change: 'created' }],
    });
    const { output } = await runNode(
      new CodeInterpreterTool(),
      at({ items: [{ json: { code: 'print(4)' } }], parameters: { chatSessionId: 'chat-1' } }),
    );
    expect(json(0)['session_key']).toBe('n8n:instance:flow:chat:chat-1');
    expect(output[0]?.json).toMatchObject({
      stdout: '4',
      files: [{ filename: 'a.png', mime_type: 'image/png' }],
    });
    expect(output[0]?.binary).toBeUndefined();
  });
});

describe('a server that cannot be reached', () => {
  it('is named with what to do', async () => {
    const parameters = { operation: 'getMany' };
    await expect(
      runNode(new Files(), { baseUrl: 'http://127.0.0.1:1/v1', parameters }),
    ).rejects.toMatchObject({ message: expect.stringContaining('could not be reached') as string });
    await expect(runNode(new Files(), { baseUrl: 'localhost', parameters })).rejects.toThrow(
      'not an address',
    );
  });
});
