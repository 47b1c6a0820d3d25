/** What the repeats of a request get whose server died before it answered. */
import { describe, expect, it, vi } from 'vitest';
import { FileRepository } from '../../../orchestrator/src/files/file.repository.js';
import { IdempotencyRepository } from '../../../orchestrator/src/idempotency/idempotency.repository.js';
import { UploadRepository } from '../../../orchestrator/src/uploads/upload.repository.js';
import type { Body } from '../admin/admin-app.js';
import {
  abandon,
  form,
  newKey,
  partForm,
  post,
  project,
  replayed,
  rows,
  server,
  UPLOAD,
  useServer,
} from './keyed-requests.js';

useServer();

describe('after a server that died in the middle', () => {
  it('what it had made is shown, not made again', async () => {
    for (const [path, body] of [
      ['/containers', { name: 'a' }],
      ['/conversations', {}],
      ['/responses', { model: 'python', input: '1 + 1' }],
      ['/uploads', UPLOAD],
    ] as const) {
      const key = newKey();
      const first = await post(key, path, { body });
      await abandon();
      const again = await post(key, path, { body });
      expect([again.status, again.body.id, replayed(again)]).toEqual([200, first.body.id, 'true']);
    }
    const key = newKey();
    const { body: file } = await post(key, '/files', form('of a crash'));
    await abandon({ fingerprint: null });
    expect((await post(key, '/files', form('of a crash'))).body.id).toBe(file.id);
  });

  it('what is added to something is shown as well', async () => {
    const { body: container } = await post(undefined, '/containers', { body: { name: 'a' } });
    const { body: upload } = await post(undefined, '/uploads', { body: UPLOAD });
    const adds = [
      [`/containers/${container.id}/files`, () => form('of a container', 'none')],
      [`/uploads/${upload.id}/parts`, () => partForm('part 7')],
    ] as const;
    const made: Body[] = [];
    for (const [path, body] of adds) {
      const key = newKey();
      const first = await post(key, path, body());
      expect(first.status, first.text).toBe(200);
      await abandon({ fingerprint: null });
      const again = await post(key, path, body());
      expect([again.body, replayed(again)]).toEqual([first.body, 'true']);
      made.push(again.body);
    }
    const key = newKey();
    const complete = () => post(key, `/uploads/${upload.id}/complete`, { body: { part_ids: [made[1]!.id] } });
    const first = await complete();
    await abandon();
    const again = await complete();
    expect([again.body, replayed(again)]).toEqual([first.body, 'true']);
    expect(again.body).toMatchObject({ status: 'completed', file: { bytes: 6 } });
  });

  it('a container file is shown also where another one was deleted', async () => {
    const { body: container } = await post(undefined, '/containers', { body: { name: 'a' } });
    const path = `/containers/${container.id}/files`;
    const { body: earlier } = await post(undefined, path, form('earlier', 'none'));
    await server.ask(project.key, 'DELETE', `/v1${path}/${earlier.id}`);
    const note = vi.spyOn(IdempotencyRepository.prototype, 'note');
    const key = newKey();
    const first = await post(key, path, form('later', 'none'));
    expect(note.mock.lastCall?.[2]).toBe(first.body.id);
    await abandon({ fingerprint: null });
    expect((await post(key, path, form('later', 'none'))).body).toEqual(first.body);
    expect((await server.ask(project.key, 'GET', `/v1${path}`)).body.data).toHaveLength(1);
  });

  it('an upload that it had not completed is completed by the repeat', async () => {
    const { body: upload } = await post(undefined, '/uploads', { body: UPLOAD });
    const { body: part } = await post(undefined, `/uploads/${upload.id}/parts`, partForm('part 8'));
    const { complete } = UploadRepository.prototype;
    const key = newKey();
    const ask = () => post(key, `/uploads/${upload.id}/complete`, { body: { part_ids: [part.id] } });
    vi.spyOn(IdempotencyRepository.prototype, 'forget').mockResolvedValue();
    vi.spyOn(UploadRepository.prototype, 'complete').mockRejectedValue(new Error('the server died'));
    expect((await ask()).status).toBe(500);
    vi.spyOn(UploadRepository.prototype, 'complete').mockImplementation(complete);
    await abandon();
    const again = await ask();
    expect([again.status, again.body['status'], replayed(again)]).toEqual([200, 'completed', undefined]);
  });

  it('what it had not made is made by the repeat, once', async () => {
    const key = newKey();
    const body = { name: 'never' };
    const first = await post(key, '/containers', { body });
    await server.prisma.container.delete({ where: { id: first.body.id } });
    await abandon();
    const all = await Promise.all([1, 2, 3].map(() => post(key, '/containers', { body })));
    expect(all.filter(({ status }) => status === 200).length).toBeGreaterThan(0);
    expect(await server.prisma.container.count({ where: { name: 'never' } })).toBe(1);
  });

  it('what it was about to make is noted, and nothing that is made by the way', async () => {
    const note = vi.spyOn(IdempotencyRepository.prototype, 'note');
    const { body: file } = await post(undefined, '/files', form('for a response'));
    const { body: container } = await post(undefined, '/containers', { body: { name: 'a' } });
    const { body: upload } = await post(undefined, '/uploads', { body: UPLOAD });
    const auto = { type: 'auto', file_ids: [file.id] };
    const run = { model: 'python', input: 'print:1', tools: [{ type: 'code_interpreter', container: auto }] };
    for (const [path, sent] of [
      ['/responses', { body: run }],
      ['/responses', { body: { ...run, store: false } }],
      ['/containers', { body: { name: 'b', file_ids: [file.id] } }],
      [`/containers/${container.id}/files`, form('noted', 'none')],
      [`/containers/${container.id}/files`, { body: { file_id: file.id } }],
      [`/containers/${container.id}/executions`, { body: { code: 'write:/mnt/data/a.txt:1' } }],
      ['/uploads', { body: UPLOAD }],
      [`/uploads/${upload.id}/parts`, partForm('part 9')],
    ] as const) {
      note.mockClear();
      const { status, body } = await post(newKey(), path, sent);
      // A name that is taken is tried, too.
      expect([path, status, note.mock.lastCall?.[2]]).toEqual([path, 200, body.id]);
      const kinds = note.mock.calls.map(([, , id]) => id.slice(0, 4));
      expect(new Set(kinds)).toEqual(new Set([body.id.slice(0, 4)]));
    }
  });

  it('what it was about to make is known by then', async () => {
    const noted: (string | null)[] = [];
    const running = async () => (await rows()).find(({ outcome }) => outcome === null)?.subject ?? null;
    const { insert } = FileRepository.prototype;
    vi.spyOn(FileRepository.prototype, 'insert').mockImplementation(async function (
      this: FileRepository,
      row,
    ) {
      noted.push(await running(), row.id);
      return insert.call(this, row);
    });
    const { body } = await post(newKey(), '/files', form('noted'));
    expect(noted).toEqual([body.id, body.id]);
  });
});
