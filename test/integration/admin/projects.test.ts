import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RetentionService } from '../../../orchestrator/src/retention/retention.service.js';
import { ADMIN_KEY, type AdminApp, FIRST_KEY, startAdminApp } from './admin-app.js';

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp();
});
afterAll(() => server?.stop());

describe('who may ask', () => {
  it('answers under /admin/v1 to the admin key alone', async () => {
    expect((await server.admin('GET', '/admin/v1/projects')).status).toBe(200);
    for (const key of [undefined, FIRST_KEY, 'sk-unknown']) {
      const { status, body } = await server.ask(key, 'GET', '/admin/v1/projects');
      expect(status).toBe(401);
      expect(body.error.code).toBe('invalid_api_key');
    }
    expect((await server.admin('GET', '/v1/admin/v1/projects')).status).toBe(404);
  });

  it('does not take the admin key for a project key', async () => {
    expect((await server.ask(ADMIN_KEY, 'GET', '/v1/containers')).status).toBe(401);
    expect((await server.ask(FIRST_KEY, 'GET', '/v1/containers')).status).toBe(200);
  });

  it('answers unknown routes and wrong methods with the envelope', async () => {
    expect((await server.admin('GET', '/admin/v1/nothing')).body.error.message).toContain('Invalid URL');
    const wrong = await server.admin('PUT', '/admin/v1/projects');
    expect(wrong.status).toBe(405);
    expect(wrong.headers['allow']).toBe('POST, GET');
  });
});

describe('projects', () => {
  it('are created, retrieved, changed and deleted', async () => {
    const created = await server.admin('POST', '/admin/v1/projects', {
      name: 'Sales',
      memory_pool: '2g',
      storage_quota: '3g',
    });
    expect(created.status).toBe(200);
    expect(created.body).toEqual({
      id: expect.stringMatching(/^proj_[0-9a-f]{24}$/),
      object: 'project',
      name: 'Sales',
      status: 'active',
      memory_pool: '2g',
      storage_quota: '3g',
      requests_per_minute: null,
      concurrent_runs: null,
      links: true,
      created_at: expect.any(Number),
    });
    const path = `/admin/v1/projects/${created.body.id}`;
    expect((await server.admin('GET', path)).body).toEqual(created.body);
    const changed = await server.admin('POST', path, { name: 'Sales 2', memory_pool: null });
    expect(changed.body).toEqual({ ...created.body, name: 'Sales 2', memory_pool: null });
    expect((await server.admin('POST', path, {})).body).toEqual(changed.body);
    expect((await server.admin('DELETE', path)).body).toEqual({
      id: created.body.id,
      object: 'project.deleted',
      deleted: true,
    });
    expect((await server.admin('GET', path)).status).toBe(404);
  });

  it('are refused when they are wrong', async () => {
    const create = (body: unknown) => server.admin('POST', '/admin/v1/projects', body);
    expect((await create({})).body.error).toMatchObject({
      code: 'missing_required_parameter',
      param: 'name',
    });
    expect((await create({ name: '' })).body.error.code).toBe('string_below_min_length');
    expect((await create({ name: 'a', memory_pool: 'lots' })).body.error).toMatchObject({
      code: 'invalid_value',
      param: 'memory_pool',
    });
    expect((await create({ name: 'a', colour: 'red' })).body.error.code).toBe('unknown_parameter');
    const none = await server.admin('POST', '/admin/v1/projects/proj_none', { name: 'a' });
    expect(none.status).toBe(404);
  });

  it('are listed page by page', async () => {
    for (const name of ['p1', 'p2', 'p3']) await server.project(name);
    const seen: unknown[] = [];
    let after = '';
    for (;;) {
      const { body } = await server.admin('GET', `/admin/v1/projects?limit=2&order=asc&after=${after}`);
      expect(body['object']).toBe('list');
      seen.push(...body.data.map((each) => each['name']));
      if (!body['has_more']) break;
      after = String(body['last_id']);
    }
    expect(seen).toEqual(expect.arrayContaining(['Default project', 'p1', 'p2', 'p3']));
    expect(new Set(seen).size).toBe(seen.length);
    expect((await server.admin('GET', '/admin/v1/projects?after=proj_none')).status).toBe(404);
  });

  it('answer 403 at once when suspended, and work again when not', async () => {
    const { id, key } = await server.project();
    expect((await server.ask(key, 'GET', '/v1/files')).status).toBe(200);
    await server.admin('POST', `/admin/v1/projects/${id}`, { status: 'suspended' });
    const refused = await server.ask(key, 'GET', '/v1/files');
    expect(refused.status).toBe(403);
    expect(refused.body.error.code).toBe('project_suspended');
    await server.admin('POST', `/admin/v1/projects/${id}`, { status: 'active' });
    expect((await server.ask(key, 'GET', '/v1/files')).status).toBe(200);
  });

  it('have a memory pool of their own', async () => {
    const { id, key } = await server.project();
    await server.admin('POST', `/admin/v1/projects/${id}`, { memory_pool: '1g' });
    const first = await server.ask(key, 'POST', '/v1/containers', { name: 'a' });
    expect(first.status).toBe(200);
    const second = await server.ask(key, 'POST', '/v1/containers', { name: 'b' });
    expect(second.status).toBe(429);
    expect(second.body.error.code).toBe('memory_pool_exhausted');
  });

  it('are deleted with what they hold only by force', async () => {
    const { id, key } = await server.project();
    const container = (await server.ask(key, 'POST', '/v1/containers', { name: 'a' })).body.id;
    const run = server.ask(key, 'POST', `/v1/containers/${container}/executions`, { code: 'sleep:20000' });
    const isServed = async () =>
      (await server.admin('GET', `/admin/v1/containers/${container}`)).body['live_sandbox'];
    await expect.poll(isServed).toBe(true);
    await server.prisma.conversation.create({ data: { id: 'conv_a', projectId: id } });
    const refused = await server.admin('DELETE', `/admin/v1/projects/${id}`);
    expect(refused.status).toBe(400);
    expect(refused.body.error.message).toContain('1 containers, 1 conversations');
    expect((await server.admin('DELETE', `/admin/v1/projects/${id}?force=true`)).status).toBe(200);
    expect((await run).status).toBe(200);
    expect((await server.ask(key, 'GET', '/v1/containers')).status).toBe(401);
    expect(await server.prisma.container.count({ where: { projectId: id } })).toBe(0);
    expect(await server.prisma.conversation.count({ where: { projectId: id } })).toBe(0);
    expect(await server.prisma.apiKey.count({ where: { projectId: id } })).toBe(0);
  });
});

describe('keys', () => {
  it('show their secret once, and tell when they were used', async () => {
    const { id } = await server.project();
    const path = `/admin/v1/projects/${id}/api_keys`;
    const made = (await server.admin('POST', path, { name: 'laptop' })).body;
    expect(made).toMatchObject({
      object: 'project.api_key',
      project_id: id,
      name: 'laptop',
      hint: made.secret.slice(-4),
      last_used_at: null,
      revoked_at: null,
    });
    expect(made.secret).toMatch(/^sk-[A-Za-z0-9]{48}$/);
    expect((await server.ask(made.secret, 'GET', '/v1/files')).status).toBe(200);
    const used = async () =>
      (await server.admin('GET', path)).body.data.find((key) => key.id === made.id)?.['last_used_at'];
    await expect.poll(used).toEqual(expect.any(Number));
    expect((await server.admin('GET', path)).text).not.toContain(made.secret);
    expect((await server.admin('GET', path)).body.data).toHaveLength(2);
    expect((await server.admin('GET', `${path}?limit=1`)).body['has_more']).toBe(true);
  });

  it('are forgotten a year after they were revoked, but for those of the configuration', async () => {
    const { id, key } = await server.project();
    const keys = async () => (await server.admin('GET', `/admin/v1/projects/${id}/api_keys`)).body.data;
    const [only] = await keys();
    await server.admin('DELETE', `/admin/v1/projects/${id}/api_keys/${only!.id}`);
    const revokedAt = new Date(Date.now() - 366 * 24 * 3_600_000);
    const retention = server.app.get(RetentionService);
    await retention.forget();
    expect(await keys()).toHaveLength(1);
    await server.prisma.apiKey.updateMany({ where: { id: only!.id }, data: { revokedAt, configured: true } });
    expect((await retention.forget()).keys).toBe(0);
    await server.prisma.apiKey.updateMany({ where: { id: only!.id }, data: { configured: false } });
    expect((await retention.forget()).keys).toBe(1);
    expect(await keys()).toEqual([]);
    expect((await server.ask(key, 'GET', '/v1/files')).status).toBe(401);
  });

  it('are refused at once when they are revoked', async () => {
    const { id, key } = await server.project();
    const path = `/admin/v1/projects/${id}/api_keys`;
    const keyId = (await server.admin('GET', path)).body.data[0]!.id;
    expect((await server.ask(key, 'GET', '/v1/files')).status).toBe(200);
    const revoked = await server.admin('DELETE', `${path}/${keyId}`);
    expect(revoked.body).toEqual({ id: keyId, object: 'project.api_key.deleted', deleted: true });
    expect((await server.ask(key, 'GET', '/v1/files')).status).toBe(401);
    expect((await server.admin('DELETE', `${path}/${keyId}`)).status).toBe(404);
    expect((await server.admin('GET', path)).body.data[0]!['revoked_at']).toEqual(expect.any(Number));
  });
});
