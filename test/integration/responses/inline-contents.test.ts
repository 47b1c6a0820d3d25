/** Files and images inside a request: kept once, as content, and shown to the letter for as long as their item is there. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { BlobsService } from '../../../orchestrator/src/storage/blobs.service.js';
import { ResponseRepository } from '../../../orchestrator/src/responses/record/response.repository.js';
import type { Body } from '../admin/admin-app.js';
import { type ModelApp, startModelApp, TOOLS } from './model-app.js';

const MODEL = 'inline';
const BYTES = 100_001;

let server: ModelApp;
let blobs: BlobsService;
beforeAll(async () => {
  server = await startModelApp([MODEL, 'sees'], { vision: true });
  blobs = server.app.get(BlobsService, { strict: false });
});
afterAll(() => server?.stop());

interface Sent {
  readonly data: Buffer;
  readonly sha256: string;
  readonly text: string;
}
function content(write = (data: Buffer) => `data:text/csv;base64,${data.toString('base64')}`): Sent {
  const data = randomBytes(BYTES);
  return { data, sha256: createHash('sha256').update(data).digest('hex'), text: write(data) };
}
const filePart = (text: string) => ({ type: 'input_file', filename: 'table.csv', file_data: text });
const message = (...parts: object[]) => ({
  ...{ type: 'message', role: 'user' },
  content: [...parts, { type: 'input_text', text: 'go' }],
});

async function respond(key: string, input: readonly object[], more: object = {}): Promise<Body> {
  const reply = await server.respond(key, MODEL, { input, ...more });
  expect(reply.status, reply.text).toBe(200);
  return reply.body;
}
const shown = async (key: string, path: string) => {
  const reply = await server.ask(key, 'GET', `/v1/${path}`);
  expect(reply.status, reply.text).toBe(200);
  return reply.body.data.flatMap((item) => (item['content'] as object[]) ?? []);
};
const stored = async (table: 'ResponseItem' | 'ConversationItem', sha256: string) =>
  server.prisma.$queryRawUnsafe<{ length: number }[]>(
    `SELECT octet_length("item"::text) AS length FROM "${table}" WHERE "item"::text LIKE '%${sha256}%'`,
  );
const references = (sha256: string) => server.prisma.inlineContent.count({ where: { blobSha256: sha256 } });
const isThere = async (sha256: string) => (await server.prisma.blob.count({ where: { sha256 } })) === 1;
const used = async (projectId: string) =>
  Number(
    (await server.prisma.storageEntry.aggregate({ where: { projectId }, _sum: { bytes: true } }))._sum
      .bytes ?? 0,
  );

describe('a file inside a request', () => {
  it('is kept as content, counts, and is shown as it was sent', async () => {
    const { id: projectId, key } = await server.project();
    const file = content();
    const { id } = await respond(key, [message(filePart(file.text))]);
    expect(await stored('ResponseItem', file.sha256)).toMatchObject([{ length: expect.any(Number) }]);
    expect((await stored('ResponseItem', file.sha256))[0]!.length).toBeLessThan(1_000);
    expect(await used(projectId)).toBe(BYTES);
    expect(await shown(key, `responses/${id}/input_items`)).toEqual([
      filePart(file.text),
      { type: 'input_text', text: 'go' },
    ]);
  });

  it('goes at once with its response', async () => {
    const { id: projectId, key } = await server.project();
    const file = content();
    const { id } = await respond(key, [message(filePart(file.text))]);
    expect([await references(file.sha256), await isThere(file.sha256)]).toEqual([1, true]);
    await server.ask(key, 'DELETE', `/v1/responses/${id}`);
    expect([await references(file.sha256), await used(projectId)]).toEqual([0, 0]);
    await vi.waitFor(async () => expect(await isThere(file.sha256)).toBe(false));
  });

  it('is refused when the project may not store that much', async () => {
    const { id: projectId, key } = await server.project();
    await server.prisma.project.update({ where: { id: projectId }, data: { storageQuotaBytes: 1_000n } });
    const reply = await server.respond(key, MODEL, { input: [message(filePart(content().text))] });
    expect(reply.body.error).toMatchObject({ code: 'storage_quota_exceeded' });
  });

  it('is not decoded and stored again by the next turns, and a container gets it', async () => {
    const { key } = await server.project();
    const file = content();
    const first = await respond(key, [message(filePart(file.text))]);
    const write = vi.spyOn(blobs, 'write');
    const second = await respond(key, [message()], { previous_response_id: first.id });
    const third = await respond(key, [message()], {
      ...{ previous_response_id: second.id, background: false },
      tools: [{ ...TOOLS[0], container: { type: 'auto' } }],
    });
    expect(write).not.toHaveBeenCalled();
    write.mockRestore();
    const files = await server.prisma.containerFile.findMany({ where: { blobSha256: file.sha256 } });
    expect(files.map(({ path }) => path)).toEqual(['/mnt/data/table.csv']);
    expect(await shown(key, `responses/${third.id}/input_items?order=asc`)).toContainEqual(
      filePart(file.text),
    );
  });

  it.each([
    ['bare base64', (data: Buffer) => data.toString('base64')],
    ['base64 for addresses', (data: Buffer) => data.toString('base64url')],
    ['lines', (data: Buffer) => data.toString('base64').replace(/(.{76})/g, '$1\n')],
    ['no padding', (data: Buffer) => data.toString('base64').replace(/=+$/, '')],
  ])('is shown as it was sent when it is written as %s', async (_, write) => {
    const { key } = await server.project();
    const file = content(write);
    const { id } = await respond(key, [message(filePart(file.text))]);
    expect(await shown(key, `responses/${id}/input_items`)).toContainEqual(filePart(file.text));
  });

  it('is refused as before when it is no base64', async () => {
    const { key } = await server.project();
    const reply = await server.respond(key, MODEL, { input: [message(filePart('!'.repeat(50_000)))] });
    expect(reply.body.error).toMatchObject({ code: 'invalid_value', param: 'input[0].content[0].file_data' });
  });

  it('of a response that is not stored leaves nothing', async () => {
    const { id: projectId, key } = await server.project();
    const file = content();
    await respond(key, [message(filePart(file.text))], { store: false });
    expect([await isThere(file.sha256), await used(projectId)]).toEqual([false, 0]);
  });

  it('cannot be named by a request: what another project keeps stays its own', async () => {
    const { key } = await server.project();
    const file = content();
    await respond(key, [message(filePart(file.text))]);
    const { id: projectId, key: other } = await server.project();
    const forged = {
      ...filePart('QUJD'),
      inline_content: { sha256: file.sha256, bytes: BYTES, head: '' },
    };
    const { id } = await respond(other, [message(forged)]);
    expect(await shown(other, `responses/${id}/input_items`)).toContainEqual(filePart('QUJD'));
    expect(await used(projectId)).toBe(0);
  });
});

describe('in a conversation', () => {
  it('content is kept for its own items, those of responses and those put there', async () => {
    const { id: projectId, key } = await server.project();
    const [put, asked] = [content(), content()];
    const made = await server.ask(key, 'POST', '/v1/conversations', { items: [message(filePart(put.text))] });
    const conversation = made.body.id;
    const { id } = await respond(key, [message(filePart(asked.text))], { conversation });
    expect((await stored('ConversationItem', put.sha256))[0]!.length).toBeLessThan(1_000);
    expect(await used(projectId)).toBe(3 * BYTES);
    await server.ask(key, 'DELETE', `/v1/responses/${id}`);
    const items = await shown(key, `conversations/${conversation}/items?order=asc`);
    expect(items).toContainEqual(filePart(put.text));
    expect(items).toContainEqual(filePart(asked.text));
    const all = await server.ask(key, 'GET', `/v1/conversations/${conversation}/items?order=asc`);
    const path = `/v1/conversations/${conversation}/items/${all.body.data[0]!.id}`;
    await server.ask(key, 'DELETE', path);
    expect([await references(put.sha256), await used(projectId)]).toEqual([0, BYTES]);
    await server.ask(key, 'DELETE', `/v1/conversations/${conversation}`);
    expect([await references(asked.sha256), await used(projectId)]).toEqual([0, 0]);
    await vi.waitFor(async () => expect(await isThere(asked.sha256)).toBe(false));
  });
});

it('a model that can see is shown the image of this turn, and of the turn before', async () => {
  const { key } = await server.project();
  const { text } = content((data) => `data:image/png;base64,${data.toString('base64')}`);
  const image = { type: 'input_image', image_url: text, detail: 'low' };
  const ask = async (input: object[], more: object = {}) =>
    (await server.respond(key, 'sees', { input, ...more })).body.id;
  const first = await ask([message(image)]);
  await ask([message()], { previous_response_id: first });
  const requests = server.model.requestsOf('sees');
  expect(requests).toHaveLength(2);
  for (const { body } of requests)
    expect(body.messages[0]!.content).toContainEqual({
      type: 'image_url',
      image_url: { url: text, detail: 'low' },
    });
  expect(await shown(key, `responses/${first}/input_items`)).toContainEqual(image);
});

it('what its items name counts as what is read for a conversation, and as what is shown on a page', async () => {
  const { key } = await server.project();
  const data = Buffer.alloc(5 * 1024 * 1024, 7).toString('base64');
  const file = filePart(`data:text/plain;base64,${data}`);
  const first = await respond(key, [message(file), message(file)]);
  const page = await server.ask(key, 'GET', `/v1/responses/${first.id}/input_items`);
  expect(page.body).toMatchObject({ data: { length: 1 }, has_more: true });
  const sizes = await server.app.get(ResponseRepository, { strict: false }).sizes([first.id]);
  expect(sizes[0]!.bytes).toBeGreaterThan(2 * data.length);
});

it('compaction answers with the whole message', async () => {
  const { key } = await server.project();
  const file = content();
  const { id } = await respond(key, [message(filePart(file.text))]);
  const compacted = await server.ask(key, 'POST', '/v1/responses/compact', {
    ...{ model: MODEL, previous_response_id: id },
  });
  expect(compacted.status, compacted.text).toBe(200);
  const parts = (compacted.body['output'] as { content?: object[] }[]).flatMap((item) => item.content ?? []);
  expect(parts).toContainEqual(filePart(file.text));
});

it('the weekly walk finds the same bytes as the entries', async () => {
  const { id: projectId, key } = await server.project();
  await respond(key, [message(filePart(content().text))]);
  await blobs.collectGarbage(0);
  expect(await used(projectId)).toBe(BYTES);
});
