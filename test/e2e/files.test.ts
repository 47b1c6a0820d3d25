/** Files, in a real n8n. */
import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { byId, CONTINUE, textFile, useBench } from './support/nodes.js';
import { inlineFile, node } from './support/workflow.js';

const { api, files, run } = useBench();
const UPLOADED = { fileId: byId("={{ $('Upload').item.json.id }}") };

describe('a file', () => {
  it('is uploaded, read, listed, downloaded and deleted', async () => {
    const result = await run(
      [{ json: { text: 'a,b\n1,2\n' } }],
      textFile('table.csv'),
      files('Upload', {
        operation: 'upload',
        inputField: 'data',
        options: { fileName: 'renamed.csv', purpose: 'assistants', expiresHours: 2 },
      }),
      files('Get', { operation: 'get', ...UPLOADED }),
      files('List', { operation: 'getMany', returnAll: true, filters: { purpose: 'assistants' } }),
      files('Download', { operation: 'download', ...UPLOADED, outputField: 'table' }, { executeOnce: true }),
      files('Delete', { operation: 'delete', ...UPLOADED }),
    );
    const uploaded = result.json<{ id: string; created_at: number; expires_at: number }>('Upload');
    expect(uploaded).toMatchObject({ filename: 'renamed.csv', bytes: 8, mime_type: 'text/csv' });
    expect(uploaded.expires_at - uploaded.created_at).toBe(7200);
    expect(result.json('Get')).toMatchObject({ id: uploaded.id, purpose: 'assistants' });
    expect(result.items('List').map(({ json }) => json['id'])).toContain(uploaded.id);
    const [downloaded] = result.items('Download');
    expect(downloaded?.binary?.['table']).toMatchObject({ mimeType: 'text/csv', fileName: 'renamed.csv' });
    expect((await result.file(downloaded!, 'table', 'view')).toString()).toBe('a,b\n1,2\n');
    expect(result.json('Delete')).toEqual({ deleted: true, id: uploaded.id });
    await api.refused(404, 'GET', `/files/${uploaded.id}`);
  });

  it('is opened by a link without a key, until the link is revoked', async () => {
    const link = { resource: 'link', ...UPLOADED };
    const made = await run(
      [{ json: {}, binary: { data: inlineFile('report.csv', 'text/csv', 'a,b') } }],
      files('Upload', { operation: 'upload', inputField: 'data', options: {} }),
      files('Link', { ...link, operation: 'create', linkHours: 2 }),
    );
    const { id, url, file_id: fileId } = made.json<{ id: string; url: string; file_id: string }>('Link');
    expect(await (await fetch(url)).text()).toBe('a,b');
    const ended = await run(
      [{ json: {} }],
      files('Links', { resource: 'link', operation: 'getMany', fileId: byId(fileId), returnAll: true }),
      files('Revoke', { resource: 'link', operation: 'delete', fileId: byId(fileId), linkId: id }),
    );
    expect(ended.json('Links')).toMatchObject({ id, downloads: 1, url: null });
    expect((await fetch(url)).status).toBe(404);
  });

  it('may be held in the item, and have a name from anywhere', async () => {
    const result = await run(
      [{ json: {}, binary: { data: inlineFile('Übersicht März.txt', 'text/plain', 'Ж') } }],
      files('Upload', { operation: 'upload', inputField: 'data', options: {} }),
    );
    expect(result.json('Upload')).toMatchObject({ filename: 'Übersicht März.txt', bytes: 2 });
  });

  it('that is missing is told with its item', async () => {
    const result = await run(
      [{ json: { id: 'file-gone' } }],
      files('Get', { operation: 'get', fileId: byId('={{ $json.id }}') }, CONTINUE),
    );
    expect(result.items('Get')).toMatchObject([
      {
        json: { error: expect.stringMatching(/file-gone/), message: expect.stringMatching(/^Status 404\./) },
        pairedItem: { item: 0 },
      },
    ]);
  });
});

describe('a large file', () => {
  it('goes in and out in pieces, byte for byte', async () => {
    const content = randomBytes(200 * 1024 * 1024);
    const id = await api.upload('large.bin', content);
    const result = await run(
      [{ json: { id } }],
      files('Download', { operation: 'download', fileId: byId('={{ $json.id }}'), outputField: 'data' }),
      files('Upload', { operation: 'upload', inputField: 'data', options: {} }),
    );
    const copy = result.json<{ id: string; bytes: number }>('Upload');
    expect(copy.bytes).toBe(content.length);
    const reply = await fetch(`${api.url}/files/${copy.id}/content`, {
      headers: { authorization: `Bearer ${api.key}` },
    });
    const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
    expect(sha(new Uint8Array(await reply.arrayBuffer()))).toBe(sha(content));
    await Promise.all([id, copy.id].map((each) => api.delete(`/files/${each}`)));
  });
});

it('fits to what other nodes make of files', async () => {
  const result = await run(
    [{ json: { city: 'Rome', sales: 5 } }],
    node('Write', 'n8n-nodes-base.convertToFile', { operation: 'toJson', options: {} }, { typeVersion: 1.1 }),
    files('Upload', { operation: 'upload', inputField: 'data', options: {} }),
    files('Download', { operation: 'download', ...UPLOADED, outputField: 'data' }),
    node('Read', 'n8n-nodes-base.extractFromFile', { operation: 'fromJson', options: {} }),
  );
  expect(result.json('Read')).toMatchObject({ data: [{ city: 'Rome', sales: 5 }] });
});
