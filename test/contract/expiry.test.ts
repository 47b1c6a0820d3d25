/** Containers that run out of time (checks 52, 67–70), and a long stream (check 93); their waits overlap. */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Page } from '../support/api.js';
import { behaviour, errorOf, newest } from '../support/clients.js';
import { onDatabase, useProject } from '../support/project.js';
import { callOf, logsOf, OUTPUTS, pythonRequest, runPython } from '../support/python-model.js';

const project = useProject();
const MINUTE = { anchor: 'last_active_at', minutes: 1 } as const;

const statusInList = async (id: string) => {
  const page = await project.api.ok<Page<{ id: string; status: string }>>('GET', '/containers?limit=100');
  return page.data.find((each) => each.id === id)?.status;
};

/** As if nobody had used it for this long. */
const age = (id: string, seconds: number) =>
  onDatabase(project.server, (client) =>
    client.query(
      `UPDATE "Container" SET "lastActiveAt" = "lastActiveAt" - make_interval(secs => $2) WHERE "id" = $1`,
      [id, seconds],
    ),
  );

describe.concurrent('a real minute', () => {
  it('67, 68: an idle container expires', async () => {
    const { api } = project;
    const id = await api.newContainer({ expires_after: MINUTE });
    await api.run(id, "open('/mnt/data/kept.txt', 'w').write('kept')");
    const file = (await api.ok<Page<{ id: string }>>('GET', `/containers/${id}/files`)).data[0]!.id;
    await sleep(40_000);
    expect(await statusInList(id)).toBe('running');
    await sleep(22_000);
    expect(await statusInList(id)).toBe('expired');
    expect(await api.ok('GET', `/containers/${id}`)).toMatchObject({ id, status: 'expired' });
    for (const [method, path] of [
      ['GET', '/files'],
      ['GET', `/files/${file}`],
      ['GET', `/files/${file}/content`],
      ['DELETE', `/files/${file}`],
    ] as const) {
      expect(await api.refused(404, method, `/containers/${id}${path}`)).toMatchObject({
        code: 'container_expired',
      });
    }
    expect(await statusInList(id)).toBe('expired');
  });

  it('69: a container that is looked at does not', async () => {
    const id = await project.api.newContainer({ expires_after: MINUTE });
    for (let look = 0; look < 3; look += 1) {
      await sleep(25_000);
      expect(await project.api.ok('GET', `/containers/${id}`)).toMatchObject({ status: 'running' });
    }
  });

  it('93: nor one in which code runs; its stream is kept alive', async () => {
    const { api } = project;
    const container = await api.newContainer({ expires_after: MINUTE });
    const begin = Date.now();
    const reply = await api.stream('/responses', {
      ...pythonRequest('import time; time.sleep(66); print("done")', { container, include: OUTPUTS }),
      stream: true,
    });
    expect(Date.now() - begin).toBeGreaterThan(60_000);
    expect(reply.comments.length).toBeGreaterThanOrEqual(3);
    expect(new Set(reply.comments)).toEqual(new Set([': keepalive']));
    const final = reply.events.at(-1)!;
    expect(final.event).toBe('response.completed');
    expect(JSON.stringify(final.data)).toContain('done\\n');
    expect(await statusInList(container)).toBe('running');
  });
});

describe.each(behaviour)('$name: an expired container', ({ connect }) => {
  let id = '';
  beforeAll(async () => {
    id = await project.api.newContainer({ name: 'aged' });
    await age(id, 20 * 60);
  });

  it('67: is expired wherever it is shown', async () => {
    const client = connect(project);
    expect(
      (await client.containers.list({ name: 'aged' } as never)).data.find((each) => each.id === id)?.status,
    ).toBe('expired');
    expect((await client.containers.retrieve(id)).status).toBe('expired');
    expect((await client.containers.retrieve(id)).status).toBe('expired');
  });

  it('68: has no files, and takes none', async () => {
    const client = connect(project);
    const file = await project.api.upload('late.txt', 'x');
    for (const call of [
      () => client.containers.files.list(id),
      () => client.containers.files.create(id, { file_id: file }),
      () => client.containers.files.content.retrieve('cfile_x', { container_id: id }),
    ]) {
      expect(await errorOf(call())).toMatchObject({
        status: 404,
        code: 'container_expired',
        message: '404 Container is expired.',
      });
    }
    expect(
      await project.api.refused(404, 'POST', `/containers/${id}/executions`, { code: '1' }),
    ).toMatchObject({ code: 'container_expired' });
  });

  it('52: cannot be used by a response, and the client does not insist', async () => {
    const error = await errorOf(
      runPython(connect(project, { maxRetries: 2 }) as never, '1', { container: id }),
    );
    expect(error).toMatchObject({
      status: 400,
      param: 'tools[0].container',
      code: 'container_expired',
      message: '400 Container is expired.',
    });
  });

  it('70: an automatic one is replaced', async () => {
    const client = connect(project);
    const first = await runPython(client, 'x = 1');
    await age(callOf(first).container_id, 20 * 60);
    const second = await runPython(client, "print('x' in globals())", { previous: first, include: OUTPUTS });
    expect(callOf(second).container_id).not.toBe(callOf(first).container_id);
    expect(logsOf(second)).toBe('False\n');
  });

  it('is deleted like any other', async () => {
    await connect(project).containers.delete(id);
    expect(await errorOf(connect(project).containers.retrieve(id))).toMatchObject({ status: 404 });
  });
});

describe('what an expired container leaves', () => {
  it('58: files that were cited still download', async () => {
    const client = newest.connect(project);
    const made = await runPython(client, "open('/mnt/data/cited.txt', 'w').write('still here')");
    const id = callOf(made).container_id;
    const [, cited] = /"file_id":"(cfile_[0-9a-f]+)"/.exec(JSON.stringify(made.output))!;
    await age(id, 20 * 60);
    expect(await (await client.files.content(cited!)).text()).toBe('still here');
    expect(await project.api.refused(404, 'GET', `/containers/${id}/files/${cited}/content`)).toMatchObject({
      code: 'container_expired',
    });
  });

  it('a session key is free again', async () => {
    const create = () => project.api.newContainer({ session_key: 'aged' });
    const first = await create();
    expect(await create()).toBe(first);
    await age(first, 20 * 60);
    expect(await create()).not.toBe(first);
  });
});
