/** The model that a request gets when it asks for `default`. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AdminApp, startAdminApp } from '../admin/admin-app.js';

const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];

describe('the model `default`', () => {
  let app: AdminApp;
  let key: string;
  beforeAll(async () => {
    app = await startAdminApp();
    ({ key } = await app.project());
  });
  afterAll(() => app?.stop());

  it('is named in the response and in its record', async () => {
    const body = { model: 'default', input: 'print:served', tools: TOOLS };
    const { status, body: response } = await app.ask(key, 'POST', '/v1/responses', body);
    expect(status).toBe(200);
    expect(response).toMatchObject({ model: 'python', status: 'completed' });
    const row = await app.prisma.response.findUniqueOrThrow({ where: { id: response.id } });
    expect(row.model).toBe('python');
    expect(row.request).toMatchObject({ model: 'python' });
    const stored = await app.ask(key, 'GET', `/v1/responses/${response.id}`);
    expect(stored.body.model).toBe('python');
  });

  it('is listed, and can be retrieved', async () => {
    const { body } = await app.ask(key, 'GET', '/v1/models');
    expect(body.data.map(({ id }: { id: string }) => id)).toEqual(['python', 'default']);
    expect((await app.ask(key, 'GET', '/v1/models/default')).body).toMatchObject({ object: 'model' });
  });
});
