/** Models, keys and what every reply has in common. */
import { describe, expect, it } from 'vitest';
import type { WireError } from '../support/api.js';
import { current, errorOf, withOld } from '../support/clients.js';
import { useProject } from '../support/project.js';

const project = useProject();

describe.each(current)('$name', ({ connect }) => {
  it('1: lists models and retrieves the same object', async () => {
    const client = connect(project);
    const models = [];
    for await (const model of client.models.list()) models.push(model);
    const python = models.find(({ id }) => id === 'python');
    expect(python).toEqual({
      id: 'python',
      object: 'model',
      created: expect.any(Number),
      owned_by: expect.any(String),
    });
    expect(await client.models.retrieve('python')).toEqual(python);
  });

  it('2: names the code of an unknown model', async () => {
    const error = await errorOf(connect(project).models.retrieve('nope'));
    expect(error).toMatchObject({ status: 404, code: 'model_not_found' });
    expect(error.constructor.name).toBe('NotFoundError');
    expect(await errorOf(connect(project).models.retrieve('a/b'))).toMatchObject({ code: 'model_not_found' });
  });

  it('3: refuses a wrong key', async () => {
    const error = await errorOf(connect(project, { apiKey: 'sk-wrong' }).models.list());
    expect(error.constructor.name).toBe('AuthenticationError');
    expect(error).toMatchObject({ status: 401, code: 'invalid_api_key', type: 'invalid_request_error' });
    expect(error.requestID).toMatch(/^req_/);
  });

  it('6: gives the request id to the client', async () => {
    const client = connect(project);
    const {
      data,
      response,
      request_id: requestId,
    } = await client.containers.create({ name: 'c' }).withResponse();
    expect(requestId).toMatch(/^req_[A-Za-z0-9_-]+$/);
    expect(requestId).toBe(response.headers.get('x-request-id'));
    expect((data as unknown as { _request_id: string })._request_id).toBe(requestId);
  });
});

describe('every reply', () => {
  const paths = ['/nowhere', '/responses/resp_x/nowhere', '/', '/containers/cntr_x/files/cfile_x/content/x'];

  it.each(paths)('4: GET %s has an error that is an object', async (path) => {
    const error = await project.api.refused(404, 'GET', path);
    expect(error).toEqual({
      message: expect.any(String),
      type: 'invalid_request_error',
      param: null,
      code: null,
    });
  });

  it.each([
    ['PUT', '/files'],
    ['PATCH', '/containers'],
    ['GET', '/uploads'],
    ['DELETE', '/models'],
    ['POST', '/models'],
  ])('4: %s %s is a wrong method', async (method, path) => {
    const reply = await project.api.request<{ error: WireError }>(method, path);
    expect(reply.status).toBe(405);
    expect(reply.body.error).toMatchObject({
      type: 'invalid_request_error',
      message: expect.stringContaining(method),
    });
    expect(reply.headers.get('allow')).toBeTruthy();
  });

  it.each(['/responses', '/containers', '/uploads'])(
    '5: a malformed body for %s has the envelope',
    async (path) => {
      for (const body of ['{"name": ', 'name=x', '[1,', '"', '{"a":1}}']) {
        const error = await project.api.refused(400, 'POST', path, body);
        expect(error).toMatchObject({ type: 'invalid_request_error', param: null });
        expect(error.message).toContain('JSON');
      }
    },
  );

  it.each(['[]', '"text"', '1', 'true', 'null', ''])('5: a body of %j is not an object', async (body) => {
    for (const path of ['/responses', '/containers', '/uploads']) {
      expect(await project.api.refused(400, 'POST', path, body)).toMatchObject({
        type: 'invalid_request_error',
      });
    }
  });

  it('5: says that the content type is not supported', async () => {
    const reply = await project.api.request<{ error: WireError }>('POST', '/containers', 'name: x', {
      headers: { 'content-type': 'application/yaml' },
    });
    expect(reply.status).toBe(415);
    expect(reply.body.error.type).toBe('invalid_request_error');
  });

  it.each([
    ['200', 'GET', '/models', undefined],
    ['400', 'POST', '/containers', {}],
    ['404', 'GET', '/files/file-x', undefined],
    ['404 without a route', 'GET', '/nowhere', undefined],
    ['405', 'PATCH', '/files', undefined],
  ])('6: %s has its own request id', async (_, method, path, body) => {
    const first = await project.api.request(method, path, body);
    const second = await project.api.request(method, path, body);
    expect(first.headers.get('x-request-id')).toMatch(/^req_/);
    expect(second.headers.get('x-request-id')).not.toBe(first.headers.get('x-request-id'));
    expect(first.headers.get('content-type')).toBe('application/json; charset=utf-8');
  });

  it('3: refuses no key, and a key of another form', async () => {
    for (const authorization of ['', 'Bearer', 'Bearer ', 'Basic eDp5', `Token ${project.key}`]) {
      const reply = await fetch(`${project.server.url}/models`, {
        headers: authorization ? { authorization } : {},
      });
      expect(reply.status).toBe(401);
      expect(((await reply.json()) as { error: WireError }).error.code).toBe('invalid_api_key');
      expect(reply.headers.get('x-request-id')).toMatch(/^req_/);
    }
  });

  it('7: a POST that succeeds is 200', async () => {
    const { api } = project;
    const form = new FormData();
    form.append('purpose', 'user_data');
    form.append('file', new Blob(['x']), 'x.txt');
    const file = await api.request<{ id: string }>('POST', '/files', form);
    const container = await api.post<{ id: string }>('/containers', { name: 'seven' });
    const copy = await api.post(`/containers/${container.body.id}/files`, { file_id: file.body.id });
    const upload = await api.post<{ id: string }>('/uploads', {
      bytes: 1,
      filename: 'a',
      mime_type: 'text/plain',
      purpose: 'user_data',
    });
    const cancelled = await api.post(`/uploads/${upload.body.id}/cancel`);
    expect([file, container, copy, upload, cancelled].map(({ status }) => status)).toEqual([
      200, 200, 200, 200, 200,
    ]);
  });

  it('ignores unknown query keys, and never looks at Accept', async () => {
    const reply = await project.api.request('GET', '/models?beta=true&x[]=1', undefined, {
      headers: { accept: 'application/binary', 'openai-beta': 'responses=v1', 'openai-project': 'p' },
    });
    expect(reply.status).toBe(200);
  });

  it('answers a preflight of a browser', async () => {
    const reply = await fetch(`${project.server.url}/responses`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-stainless-lang,openai-organization',
      },
    });
    expect(reply.ok).toBe(true);
    expect(reply.headers.get('access-control-allow-headers')).toContain('x-stainless-lang');
    expect(reply.headers.get('access-control-allow-methods')).toContain('POST');
  });
});

describe.each(withOld)('8: $name', ({ connect }) => {
  it('deletes with an empty JSON body', async () => {
    const client = connect(project);
    const container = await client.containers.create({ name: 'eight' });
    // Generation 4 calls it `del`.
    const containers = client.containers as unknown as Record<string, (id: string) => Promise<unknown>>;
    await (containers['delete']
      ? client.containers.delete(container.id)
      : containers['del']!.call(containers, container.id));
    await expect(errorOf(client.containers.retrieve(container.id))).resolves.toMatchObject({ status: 404 });
  });
});

describe('8: an empty body that says it is JSON', () => {
  it.each(['DELETE', 'GET'])('%s takes it', async (method) => {
    const id = await project.api.newContainer();
    const reply = await project.api.request(method, `/containers/${id}`, method === 'GET' ? undefined : '', {
      headers: { 'content-type': 'application/json' },
    });
    expect(reply.status).toBe(200);
  });

  it('cancel takes it', async () => {
    const { id } = await project.api.ok<{ id: string }>('POST', '/uploads', {
      bytes: 1,
      filename: 'a',
      mime_type: 'text/plain',
      purpose: 'user_data',
    });
    expect(await project.api.ok('POST', `/uploads/${id}/cancel`, '')).toMatchObject({ status: 'cancelled' });
  });
});
