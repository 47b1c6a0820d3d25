/** Containers (checks 22–32) and what one project sees of another (check 40). */
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { Api, type Page } from '../support/api.js';
import { collect, behaviour, errorOf } from '../support/clients.js';
import { newProject, useProject } from '../support/project.js';

const project = useProject();

describe.each(behaviour)('$name', ({ connect }) => {
  it('22: creates one with the defaults, and shows it the same way everywhere', async () => {
    const client = connect(project);
    const container = await client.containers.create({ name: 'defaults' });
    expect(container).toEqual({
      id: expect.stringMatching(/^cntr_[0-9a-f]{48}$/),
      object: 'container',
      name: 'defaults',
      created_at: expect.any(Number),
      status: 'running',
      last_active_at: expect.any(Number),
      expires_after: { anchor: 'last_active_at', minutes: 20 },
      memory_limit: '1g',
      network_policy: { type: 'disabled' },
    });
    expect({ ...(await client.containers.retrieve(container.id)), last_active_at: 0 }).toEqual({
      ...container,
      last_active_at: 0,
    });
    const [listed] = (await client.containers.list({ name: 'defaults' })).data;
    expect({ ...listed, last_active_at: 0 }).toEqual({ ...container, last_active_at: 0 });
  });

  it('23: needs a name', async () => {
    const error = await errorOf(connect(project).containers.create({} as never));
    expect(error).toMatchObject({ status: 400, code: 'missing_required_parameter', param: 'name' });
  });

  it('24: has a memory limit', async () => {
    const client = connect(project);
    expect(await client.containers.create({ name: 'four', memory_limit: '4g' })).toMatchObject({
      memory_limit: '4g',
    });
    const error = await errorOf(client.containers.create({ name: 'two', memory_limit: '2g' as never }));
    expect(error).toMatchObject({ status: 400, code: 'invalid_value', param: 'memory_limit' });
  });

  it('25: lives at most twenty minutes without use', async () => {
    const client = connect(project);
    const create = (minutes: number) =>
      client.containers.create({ name: 'expiry', expires_after: { anchor: 'last_active_at', minutes } });
    expect(await errorOf(create(21))).toMatchObject({
      status: 400,
      code: 'integer_above_max_value',
      param: 'expires_after.minutes',
    });
    expect(await errorOf(create(0))).toMatchObject({
      code: 'integer_below_min_value',
      param: 'expires_after.minutes',
    });
    expect((await create(5)).expires_after).toEqual({ anchor: 'last_active_at', minutes: 5 });
  });

  it('26: begins with files', async () => {
    const client = connect(project);
    const ids = [await project.api.upload('one.csv', 'a'), await project.api.upload('two.csv', 'bb')];
    const container = await client.containers.create({ name: 'files', file_ids: [...ids, ids[0]!] });
    const files = await collect(client.containers.files.list(container.id, { order: 'asc' }));
    expect(files).toHaveLength(2);
    expect(files.map(({ bytes, source }) => [bytes, source])).toEqual([
      [1, 'user'],
      [2, 'user'],
    ]);
    expect(files[0]!.path).toMatch(/^\/mnt\/data\/.*one\.csv$/);
  });

  it('27: is not made when a file is unknown', async () => {
    const client = connect(project);
    const good = await project.api.upload('good.csv', 'a');
    const error = await errorOf(
      client.containers.create({ name: 'never', file_ids: [good, 'file-unknown'] }),
    );
    expect(error).toMatchObject({
      status: 404,
      message: expect.stringContaining('No such File object: file-unknown'),
    });
    expect((await client.containers.list({ name: 'never' } as never)).data).toEqual([]);
  });

  it('28: lists in pages, newest first, by name', async () => {
    const client = connect(project);
    const name = `pages of ${client.constructor.name}`;
    const made = [];
    for (let index = 0; index < 5; index += 1) made.push((await client.containers.create({ name })).id);
    const found = await collect(client.containers.list({ limit: 2, name } as never));
    expect(found.map(({ id }) => id)).toEqual([...made].reverse());
    const upwards = await collect(client.containers.list({ limit: 2, name, order: 'asc' } as never));
    expect(upwards.map(({ id }) => id)).toEqual(made);
    expect(await errorOf(client.containers.list({ after: 'cntr_x' }))).toMatchObject({
      status: 404,
      param: 'after',
    });
    for (const id of made) await client.containers.delete(id);
  });

  it('29: says which one is unknown', async () => {
    const error = await errorOf(connect(project).containers.retrieve('cntr_unknown'));
    expect(error.constructor.name).toBe('NotFoundError');
    expect(error.message).toContain("Container with id 'cntr_unknown' not found.");
    expect(error).toMatchObject({ param: null, code: null });
  });

  it('30: is deleted once', async () => {
    const client = connect(project);
    const { id } = await client.containers.create({ name: 'gone' });
    await client.containers.delete(id);
    expect(await errorOf(client.containers.retrieve(id))).toMatchObject({ status: 404 });
    expect(await errorOf(client.containers.delete(id))).toMatchObject({ status: 404 });
    expect(await errorOf(client.containers.files.list(id))).toMatchObject({ status: 404 });
  });

  it('31: takes null for absent', async () => {
    const container = await connect(project).containers.create({
      name: 'nulls',
      file_ids: null,
      expires_after: null,
      memory_limit: null,
      network_policy: null,
      skills: null,
    } as never);
    expect(container).toMatchObject({ memory_limit: '1g', expires_after: { minutes: 20 } });
  });
});

describe('over plain HTTP', () => {
  it('30: the answer to a delete is JSON', async () => {
    const id = await project.api.newContainer();
    expect(await project.api.ok('DELETE', `/containers/${id}`)).toEqual({
      id,
      object: 'container.deleted',
      deleted: true,
    });
  });

  it('25: takes the alias expire_after', async () => {
    const { api } = project;
    const expire_after = { anchor: 'last_active_at', minutes: 7 };
    expect(await api.ok('POST', '/containers', { name: 'alias', expire_after })).toMatchObject({
      expires_after: { anchor: 'last_active_at', minutes: 7 },
    });
    const both = { name: 'both', expire_after, expires_after: expire_after };
    expect(await api.refused(400, 'POST', '/containers', both)).toMatchObject({
      code: 'mutually_exclusive_parameters',
    });
    expect(
      await api.ok('POST', '/containers', {
        name: 'whole',
        expires_after: { ...expire_after, minutes: 5.0 },
      }),
    ).toMatchObject({
      expires_after: { minutes: 5 },
    });
  });

  it('32: use moves last_active_at, nothing moves created_at', async () => {
    const { api } = project;
    const id = await api.newContainer({ name: 'active' });
    const shown = async () => {
      const page = await api.ok<Page<{ id: string; last_active_at: number; created_at: number }>>(
        'GET',
        '/containers?name=active',
      );
      return page.data.find((each) => each.id === id)!;
    };
    const first = await shown();
    await sleep(1_100);
    expect(await shown()).toEqual(first);
    await api.ok('GET', `/containers/${id}`);
    const second = await shown();
    expect(second.last_active_at).toBeGreaterThan(first.last_active_at);
    await sleep(1_100);
    await api.ok('GET', `/containers/${id}/files`);
    const third = await shown();
    expect(third.last_active_at).toBeGreaterThan(second.last_active_at);
    expect(third.created_at).toBe(first.created_at);
  });
});

describe('40: another project', () => {
  let stranger: Api;
  const path: Record<string, string> = {};

  beforeAll(async () => {
    const { api, server } = project;
    stranger = new Api(server.url, await newProject(server, 'stranger'));
    const file = await api.upload('mine.txt', 'mine');
    const container = await api.newContainer({ file_ids: [file] });
    const files = await api.ok<Page<{ id: string }>>('GET', `/containers/${container}/files`);
    const execution = await api.run(container, 'print(1)');
    const upload = await api.ok<{ id: string }>('POST', '/uploads', {
      bytes: 1,
      filename: 'a',
      mime_type: 'a/b',
      purpose: 'user_data',
    });
    const response = await api.ok<{ id: string }>('POST', '/responses', {
      model: 'python',
      input: 'print(1)',
      tools: [{ type: 'code_interpreter', container }],
    });
    path['file'] = `/files/${file}`;
    path['container'] = `/containers/${container}`;
    path['containerFile'] = `${path['container']}/files/${files.data[0]!.id}`;
    path['asFile'] = `/files/${files.data[0]!.id}`;
    path['execution'] = `${path['container']}/executions/${execution.id}`;
    path['upload'] = `/uploads/${upload.id}`;
    path['response'] = `/responses/${response.id}`;
  });

  it.each([
    ['GET', 'file', ''],
    ['GET', 'file', '/content'],
    ['DELETE', 'file', ''],
    ['GET', 'asFile', ''],
    ['GET', 'asFile', '/content'],
    ['GET', 'container', ''],
    ['DELETE', 'container', ''],
    ['GET', 'container', '/files'],
    ['GET', 'containerFile', ''],
    ['GET', 'containerFile', '/content'],
    ['DELETE', 'containerFile', ''],
    ['GET', 'container', '/executions'],
    ['GET', 'execution', ''],
    ['POST', 'execution', '/cancel'],
    ['POST', 'upload', '/cancel'],
    ['GET', 'response', ''],
    ['DELETE', 'response', ''],
    ['GET', 'response', '/input_items'],
  ])('%s %s%s is not found', async (method, name, rest) => {
    await stranger.refused(404, method, `${path[name]}${rest}`);
    if (method === 'GET') await project.api.ok('GET', `${path[name]}`);
  });

  it('cannot write into it, or use what is in it', async () => {
    const fileId = path['file']!.split('/').at(-1)!;
    const containerId = path['container']!.split('/').at(-1)!;
    const responseId = path['response']!.split('/').at(-1)!;
    const tools = [{ type: 'code_interpreter', container: containerId }];
    const auto = (file_ids: string[]) => [
      { type: 'code_interpreter', container: { type: 'auto', file_ids } },
    ];
    const form = new FormData();
    form.append('file', new Blob(['x']), 'x');
    await stranger.refused(404, 'POST', `${path['container']}/files`, form);
    await stranger.refused(404, 'POST', `${path['container']}/executions`, { code: '1' });
    await stranger.refused(404, 'POST', '/containers', { name: 'theirs', file_ids: [fileId] });
    await stranger.refused(404, 'POST', '/responses', { model: 'python', input: '1', tools });
    await stranger.refused(404, 'POST', '/responses', { model: 'python', input: '1', tools: auto([fileId]) });
    const follow = { model: 'python', input: '1', previous_response_id: responseId };
    expect(await stranger.refused(400, 'POST', '/responses', follow)).toMatchObject({
      code: 'previous_response_not_found',
    });
    const part = new FormData();
    part.append('data', new Blob(['x']), 'x');
    await stranger.refused(404, 'POST', `${path['upload']}/parts`, part);
  });

  it('sees nothing of it in lists', async () => {
    for (const list of ['/files', '/containers']) {
      expect(await stranger.ok('GET', list)).toMatchObject({ data: [] });
      await stranger.refused(
        404,
        'GET',
        `${list}?after=${path[list === '/files' ? 'file' : 'container']!.split('/').at(-1)}`,
      );
    }
  });
});
