/** What a request with an `Idempotency-Key` does, and what its repeats get. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { ContainersService } from '../../../orchestrator/src/containers/containers.service.js';
import { IdempotencyRepository } from '../../../orchestrator/src/idempotency/idempotency.repository.js';
import { ResponsesService } from '../../../orchestrator/src/responses/responses.service.js';
import { RetentionService } from '../../../orchestrator/src/retention/retention.service.js';
import { eventually } from '../../support/api.js';
import { form, newKey, post, project, replayed, rows, server, useServer } from './keyed-requests.js';

useServer();

const RUN = { model: 'python', tools: [{ type: 'code_interpreter', container: { type: 'auto' } }] };

describe('a repeat', () => {
  it.each([
    ['/containers', { name: 'a' }],
    ['/conversations', { items: [{ role: 'user', content: 'hello' }] }],
    ['/responses', { model: 'python', input: '1 + 1', store: true }],
    ['/uploads', { filename: 'a', bytes: 1, purpose: 'user_data', mime_type: 'text/plain' }],
  ])('of POST %s gets the same reply, byte for byte, and says so', async (path, body) => {
    const key = newKey();
    const first = await post(key, path, { body });
    expect([first.status, replayed(first)]).toEqual([200, undefined]);
    const again = await post(key, path, { body });
    expect([again.status, replayed(again)]).toEqual([200, 'true']);
    expect(again.text).toBe(first.text);
    expect(again.headers['content-type']).toBe(first.headers['content-type']);
  });

  it('of an execution does not run the code again', async () => {
    const container = (await post(undefined, '/containers', { body: { name: 'a' } })).body.id;
    const path = `/containers/${container}/executions`;
    const key = newKey();
    const first = await post(key, path, { body: { code: 'print:once' } });
    const again = await post(key, path, { body: { code: 'print:once' } });
    expect([again.body.id, replayed(again)]).toEqual([first.body.id, 'true']);
    const { data } = (await server.ask(project.key, 'GET', `/v1${path}`)).body;
    expect(data).toHaveLength(1);
  });

  it('of a file upload is known by its parts, whatever its boundary', async () => {
    const key = newKey();
    const first = await post(key, '/files', form('hello'));
    expect(first.status).toBe(200);
    const again = await post(key, '/files', form('hello'));
    expect([again.status, again.text, replayed(again)]).toEqual([200, first.text, 'true']);
    for (const other of [form('hellO'), form('hello', 'assistants')]) {
      const refused = await post(key, '/files', other);
      expect([refused.status, refused.body.error.code]).toEqual([400, 'idempotency_key_reused']);
    }
  });

  it('of a container file, and of an item of a conversation', async () => {
    const container = (await post(undefined, '/containers', { body: { name: 'a' } })).body.id;
    const key = newKey();
    const first = await post(key, `/containers/${container}/files`, form('content', 'none'));
    expect(first.status).toBe(200);
    const again = await post(key, `/containers/${container}/files`, form('content', 'none'));
    expect([again.text, replayed(again)]).toEqual([first.text, 'true']);

    const conversation = (await post(undefined, '/conversations', { body: {} })).body.id;
    const body = { items: [{ role: 'user', content: 'once' }] };
    const path = `/conversations/${conversation}/items`;
    await post(key, path, { body });
    expect(replayed(await post(key, path, { body }))).toBe('true');
    expect((await server.ask(project.key, 'GET', `/v1${path}`)).body.data).toHaveLength(1);
  });

  it('with another body or query is refused', async () => {
    const key = newKey();
    await post(key, '/containers', { body: { name: 'a' } });
    for (const [path, name] of [
      ['/containers', 'b'],
      ['/containers?x=1', 'a'],
    ] as const) {
      const refused = await post(key, path, { body: { name } });
      expect(refused.status).toBe(400);
      expect(refused.body.error).toMatchObject({ code: 'idempotency_key_reused', param: 'Idempotency-Key' });
    }
  });

  it('of another project, or on another path, is a request of its own', async () => {
    const key = newKey();
    const body = { name: 'a' };
    const first = await post(key, '/containers', { body });
    const other = await server.project();
    const theirs = await post(key, '/containers', { body, auth: other.key });
    expect([theirs.status, replayed(theirs)]).toEqual([200, undefined]);
    expect(theirs.body.id).not.toBe(first.body.id);
    expect((await post(key, '/conversations', { body: {} })).status).toBe(200);
  });

  it('after an error is done, also with another body', async () => {
    const key = newKey();
    expect((await post(key, '/containers', { body: { name: 7 } })).status).toBe(400);
    vi.spyOn(ContainersService.prototype, 'create').mockRejectedValueOnce(new Error('a fault'));
    expect((await post(key, '/containers', { body: { name: 'a' } })).status).toBe(500);
    const done = await post(key, '/containers', { body: { name: 'a' } });
    expect([done.status, replayed(done)]).toEqual([200, undefined]);
  });

  it('while the first one runs is told to come back', async () => {
    const key = newKey();
    const body = { ...RUN, input: 'sleep:600' };
    const first = post(key, '/responses', { body });
    await eventually(rows, (all) => all.some(({ subject, outcome }) => subject !== null && outcome === null));
    const [early, other] = await Promise.all([
      post(key, '/responses', { body }),
      post(key, '/responses', { body: { ...body, input: 'x' } }),
    ]);
    expect([early.status, early.body.error.code]).toEqual([409, 'idempotency_key_in_use']);
    expect(early.headers).toMatchObject({ 'retry-after': '1', 'x-should-retry': 'true' });
    expect(other.body.error.code).toBe('idempotency_key_reused');
    const { text } = await first;
    expect((await post(key, '/responses', { body })).text).toBe(text);
  });

  it('of many at once is done once', async () => {
    const key = newKey();
    const body = { name: 'crowd' };
    const all = await Promise.all(Array.from({ length: 20 }, () => post(key, '/containers', { body })));
    const ids = new Set(all.filter(({ status }) => status === 200).map((reply) => reply.body.id));
    expect(ids.size).toBe(1);
    for (const { status } of all) expect([200, 409]).toContain(status);
    expect(await server.prisma.container.count({ where: { projectId: project.id, name: 'crowd' } })).toBe(1);
  });

  it('of a stream names what it made, and how to go on', async () => {
    const body = { model: 'python', input: '1 + 1', stream: true, background: true };
    const key = newKey();
    const first = await post(key, '/responses', { body });
    const id = /"id":"(resp_[0-9a-f]+)"/.exec(first.text)![1]!;
    const again = await post(key, '/responses', { body });
    expect([again.status, again.body.error.code]).toEqual([409, 'idempotency_reply_not_kept']);
    expect(again.headers['x-should-retry']).toBe('false');
    expect(again.body.error.message).toContain(`GET /v1/responses/${id}?stream=true&starting_after=N`);
  });

  it('of a reply too large to keep shows what was made, or says that it was done', async () => {
    const key = newKey();
    const metadata = { note: 'x' };
    const large = { items: [{ role: 'user', content: 'x'.repeat(2_000_000) }] };
    const { id } = (await post(undefined, '/conversations', { body: { metadata } })).body;
    const first = await post(key, `/conversations/${id}/items`, { body: large });
    expect(first.status).toBe(200);
    expect(first.text.length).toBeGreaterThan(2_000_000);
    const again = await post(key, `/conversations/${id}/items`, { body: large });
    expect([again.status, again.body.error.code]).toEqual([409, 'idempotency_reply_not_kept']);
    expect(again.body.error.message).toContain('too large to be kept');
    expect(again.headers['x-should-retry']).toBe('false');

    const code = { code: 'flood:1200000' };
    const container = (await post(undefined, '/containers', { body: { name: 'a' } })).body.id;
    const run = await post(key, `/containers/${container}/executions`, { body: code });
    await server.prisma.idempotencyKey.updateMany({
      where: { projectId: project.id, subject: run.body.id },
      data: { outcome: 'too_large', reply: null },
    });
    const shown = await post(key, `/containers/${container}/executions`, { body: code });
    expect([shown.status, shown.body.id, replayed(shown)]).toEqual([200, run.body.id, 'true']);
  });
});
describe('a client that leaves', () => {
  it('before its run ends has it done again by the repeat', async () => {
    const key = newKey();
    const body = { ...RUN, input: 'sleep:60000' };
    await server.app.listen(0, '127.0.0.1');
    const url = await server.app.getUrl();
    const leave = new AbortController();
    const ask = () =>
      fetch(`${url}/v1/responses`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${project.key}`,
          'content-type': 'application/json',
          'idempotency-key': key,
        },
        body: JSON.stringify(body),
        signal: leave.signal,
      });
    const asked = ask().catch(() => undefined);
    const mine = async () => (await rows()).filter(({ outcome }) => outcome === null);
    await eventually(mine, ({ length }) => length === 1);
    await sleep(200);
    leave.abort();
    await asked;
    await eventually(mine, ({ length }) => length === 0);
    const create = vi.spyOn(ResponsesService.prototype, 'createAndWait').mockResolvedValueOnce({
      id: 'resp_again',
    } as never);
    expect((await post(key, '/responses', { body })).body.id).toBe('resp_again');
    expect(create).toHaveBeenCalledOnce();
  });
});

describe('a key', () => {
  it.each(['', 'a b', 'ä', 'x'.repeat(256), 'tab\tin'])('may not be %j', async (key) => {
    const refused = await post(key, '/containers', { body: { name: 'a' } });
    expect(refused.status).toBe(400);
    expect(refused.body.error.param).toBe('Idempotency-Key');
  });

  it('may have 255 characters', async () => {
    expect((await post('~'.repeat(255), '/containers', { body: { name: 'a' } })).status).toBe(200);
  });

  it('costs nothing where there is none', async () => {
    const claim = vi.spyOn(IdempotencyRepository.prototype, 'claim');
    const before = (await rows()).length;
    await post(undefined, '/containers', { body: { name: 'a' } });
    expect(claim).not.toHaveBeenCalled();
    expect(await rows()).toHaveLength(before);
  });

  it('is forgotten after a day', async () => {
    const key = newKey();
    const body = { name: 'a' };
    const first = await post(key, '/containers', { body });
    const past = new Date(Date.now() - 25 * 3_600_000);
    const where = { projectId: project.id, subject: first.body.id };
    await server.prisma.idempotencyKey.updateMany({ where, data: { createdAt: past } });
    const second = await post(key, '/containers', { body: { name: 'other' } });
    expect([second.status, replayed(second)]).toEqual([200, undefined]);
    await server.prisma.idempotencyKey.updateMany({
      where: { projectId: project.id },
      data: { createdAt: past },
    });
    expect((await server.app.get(RetentionService).forget()).replies).toBeGreaterThan(0);
    expect(await rows()).toEqual([]);
  });
});
