/** Uploads in parts (check 21). */
import { describe, expect, it } from 'vitest';
import { behaviour, errorOf, type OfficialClient } from '../support/clients.js';
import { useProject } from '../support/project.js';

const project = useProject();
const FIELDS = { filename: 'parts.txt', mime_type: 'text/plain', purpose: 'user_data' } as const;

describe.each(behaviour)('$name', ({ connect, toFile }: OfficialClient) => {
  const part = async (id: string, text: string) =>
    (await connect(project).uploads.parts.create(id, { data: await toFile(Buffer.from(text), 'blob') })).id;

  it('21: puts parts together in the order that is asked for', async () => {
    const client = connect(project);
    const upload = await client.uploads.create({ ...FIELDS, bytes: 10 });
    expect(upload).toMatchObject({
      id: expect.stringMatching(/^upload_/),
      object: 'upload',
      status: 'pending',
      bytes: 10,
      filename: 'parts.txt',
      purpose: 'user_data',
      file: null,
      expires_at: upload.created_at + 3600,
    });
    const second = await part(upload.id, 'world');
    const first = await part(upload.id, 'hello');
    expect(first).toMatch(/^part_/);
    const done = await client.uploads.complete(upload.id, { part_ids: [first, second] });
    expect(done).toMatchObject({
      status: 'completed',
      file: { object: 'file', bytes: 10, filename: 'parts.txt' },
    });
    const content = await client.files.content(done.file!.id);
    expect(await content.text()).toBe('helloworld');
    expect(await errorOf(part(upload.id, 'more'))).toMatchObject({ status: 400 });
  });

  it('21: refuses a total that is not what was announced', async () => {
    const client = connect(project);
    const upload = await client.uploads.create({ ...FIELDS, bytes: 4 });
    const id = await part(upload.id, 'abc');
    expect(await errorOf(client.uploads.complete(upload.id, { part_ids: [id] }))).toMatchObject({
      status: 400,
    });
    expect(await errorOf(client.uploads.complete(upload.id, { part_ids: ['part_x'] }))).toMatchObject({
      status: 400,
    });
    const rest = await part(upload.id, 'd');
    expect(await client.uploads.complete(upload.id, { part_ids: [id, rest] })).toMatchObject({
      status: 'completed',
    });
  });

  it('21: cancels', async () => {
    const client = connect(project);
    const upload = await client.uploads.create({ ...FIELDS, bytes: 4 });
    expect(await client.uploads.cancel(upload.id)).toMatchObject({
      id: upload.id,
      status: 'cancelled',
      file: null,
    });
    expect(await errorOf(part(upload.id, 'abcd'))).toMatchObject({ status: 400 });
    expect(await errorOf(client.uploads.complete(upload.id, { part_ids: [] }))).toMatchObject({
      status: 400,
    });
    expect(await errorOf(client.uploads.cancel('upload_x'))).toMatchObject({ status: 404 });
  });
});

describe('what an upload announces', () => {
  it.each([
    ['no bytes', { ...FIELDS }, 'bytes', 'missing_required_parameter'],
    ['bytes of text', { ...FIELDS, bytes: 'many' }, 'bytes', 'invalid_type'],
    ['too many bytes', { ...FIELDS, bytes: 8 * 2 ** 30 + 1 }, 'bytes', 'integer_above_max_value'],
    ['fewer bytes than none', { ...FIELDS, bytes: -1 }, 'bytes', 'integer_below_min_value'],
    [
      'no name',
      { bytes: 1, mime_type: 'a/b', purpose: 'user_data' },
      'filename',
      'missing_required_parameter',
    ],
    ['no type', { bytes: 1, filename: 'a', purpose: 'user_data' }, 'mime_type', 'missing_required_parameter'],
    ['no purpose', { bytes: 1, filename: 'a', mime_type: 'a/b' }, 'purpose', 'missing_required_parameter'],
    ['a key of its own', { ...FIELDS, bytes: 1, foo: 1 }, 'foo', 'unknown_parameter'],
  ])('21: %s', async (_, body, param, code) => {
    expect(await project.api.refused(400, 'POST', '/uploads', body)).toMatchObject({ param, code });
  });
});
