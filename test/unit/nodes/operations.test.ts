/** Containers, files and the agent's tool against an endpoint that remembers what it was asked. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CodeInterpreterTool } from '../../../nodes/CodeInterpreterTool/CodeInterpreterTool.node.js';
import { Containers } from '../../../nodes/Containers/Containers.node.js';
import { Files } from '../../../nodes/Files/Files.node.js';
import { runNode } from './context.js';
import { Endpoint, execution, refusal } from './endpoint.js';

const endpoint = new Endpoint();
beforeAll(() => endpoint.start());
afterAll(() => endpoint.stop());
beforeEach(() => endpoint.forget());

describe('Containers and their files', () => {
  it('are listed page by page, up to the limit', async () => {
    const page = (ids: string[], hasMore: boolean) => ({
      data: ids.map((id) => ({ id, status: 'running' })),
      has_more: hasMore,
    });
    endpoint.answers['GET /containers'] = [page(['a', 'b'], true), page(['c'], false)];
    const { output } = await runNode(
      new Containers(),
      endpoint.at({ parameters: { resource: 'container', operation: 'getMany', returnAll: true } }),
    );
    expect(output.map((item) => item.json['container_id'])).toEqual(['a', 'b', 'c']);
    expect(endpoint.asked[1]?.path).toContain('after=b');
  });

  it('keep IDs from reaching other addresses', async () => {
    const parameters = {
      resource: 'container',
      operation: 'get',
      containerId: { mode: 'id', value: '../files/x?y' },
    };
    await expect(runNode(new Containers(), endpoint.at({ parameters }))).rejects.toThrow('Nothing at');
    expect(endpoint.asked[0]?.path).toBe('/containers/..%2Ffiles%2Fx%3Fy');
  });

  it('answer a deletion with deleted: true', async () => {
    endpoint.answers['DELETE /containers/cntr_1'] = { deleted: true };
    const parameters = {
      resource: 'container',
      operation: 'delete',
      containerId: { mode: 'id', value: 'cntr_1' },
    };
    const { output } = await runNode(new Containers(), endpoint.at({ parameters }));
    expect(output[0]?.json).toEqual({ deleted: true, container_id: 'cntr_1' });
  });
});

describe('Files', () => {
  const item = (content: Buffer) => ({
    json: {},
    binary: { data: { data: content.toString('base64'), mimeType: 'text/csv', fileName: 'ü.csv' } },
  });

  it('are uploaded at once when small', async () => {
    endpoint.answers['POST /files'] = { id: 'file-1', filename: 'ü.csv' };
    const { output } = await runNode(new Files(), endpoint.at({ items: [item(Buffer.from('a,b'))] }));
    expect(output[0]?.json).toMatchObject({ id: 'file-1', mime_type: 'text/csv' });
    expect(endpoint.asked[0]?.body).toContain('user_data');
  });

  it('are uploaded in parts when large', async () => {
    endpoint.answers['POST /uploads'] = { id: 'upload_1' };
    endpoint.answers['POST /uploads/upload_1/parts'] = [{ id: 'part_1' }, { id: 'part_2' }];
    endpoint.answers['POST /uploads/upload_1/complete'] = {
      id: 'upload_1',
      file: { id: 'file-1', filename: 'big.csv' },
    };
    const { output } = await runNode(
      new Files(),
      endpoint.at({ items: [item(Buffer.alloc(17 * 1024 * 1024))] }),
    );
    expect(output[0]?.json['id']).toBe('file-1');
    expect(endpoint.json(0)).toMatchObject({
      bytes: 17 * 1024 * 1024,
      filename: 'ü.csv',
      purpose: 'user_data',
    });
    expect(endpoint.json(3)).toEqual({ part_ids: ['part_1', 'part_2'] });
  }, 60_000);

  it('leave nothing behind of an upload whose part fails', async () => {
    endpoint.answers['POST /uploads'] = { id: 'upload_1' };
    endpoint.answers['POST /uploads/upload_1/parts'] = [
      { id: 'part_1' },
      refusal(507, 'The storage is full.'),
    ];
    endpoint.answers['POST /uploads/upload_1/cancel'] = { id: 'upload_1', status: 'cancelled' };
    const items = [item(Buffer.alloc(17 * 1024 * 1024))];
    await expect(runNode(new Files(), endpoint.at({ items }))).rejects.toThrow('The storage is full');
    expect(endpoint.routes.at(-1)).toBe('POST /uploads/upload_1/cancel');
  });

  it('are downloaded under their own name', async () => {
    endpoint.answers['GET /files/file-1'] = { id: 'file-1', filename: 'r.xlsx' };
    endpoint.answers['GET /files/file-1/content'] = Buffer.from('xlsx');
    const parameters = { operation: 'download', fileId: { mode: 'id', value: 'file-1' } };
    const { output, context } = await runNode(new Files(), endpoint.at({ parameters }));
    expect(output[0]?.binary?.['data']).toMatchObject({ fileName: 'r.xlsx' });
    expect([...context.stored.values()].map(String)).toEqual(['xlsx']);
  });
});

describe('Code Interpreter Tool', () => {
  it('runs what the agent wrote in the container of the chat, and answers with text', async () => {
    endpoint.answers['POST /containers'] = { id: 'cntr_1' };
    endpoint.answers['POST /containers/cntr_1/executions'] = execution({
      outputs: [{ type: 'stdout', text: '4' }],
      files: [{ id: 'cfile_f', path: '/mnt/data/a.png', bytes: 1, change: 'created' }],
    });
    endpoint.answers['GET /containers/cntr_1/files/cfile_f/content'] = Buffer.from('png');
    const { output } = await runNode(
      new CodeInterpreterTool(),
      endpoint.at({ items: [{ json: { code: 'print(4)' } }], parameters: { chatSessionId: 'chat-1' } }),
    );
    expect(endpoint.json(0)['session_key']).toBe('n8n:instance:flow:chat:chat-1');
    expect(output[0]?.json).toMatchObject({
      stdout: '4',
      files: [{ filename: 'a.png', mime_type: 'image/png' }],
    });
    expect(output[0]?.binary?.['data']).toMatchObject({ fileName: 'a.png', mimeType: 'image/png' });
  });

  it('sends the code and no names, so that variables of the agent stay as they are', async () => {
    endpoint.answers['POST /containers'] = { id: 'cntr_1' };
    endpoint.answers['POST /containers/cntr_1/executions'] = execution();
    const code = 'print(len(df), items, files, item, result)';
    await runNode(
      new CodeInterpreterTool(),
      endpoint.at({ items: [{ json: { code } }], parameters: { chatSessionId: 'chat-1' } }),
    );
    expect(endpoint.json(1)).toEqual({ code, returns: 'none', timeout_ms: 120_000 });
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
