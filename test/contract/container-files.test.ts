/** Container files (checks 33–39). */
import { createHash, randomBytes } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Page } from '../support/api.js';
import { collect, current, errorOf, type OfficialClient, withOld } from '../support/clients.js';
import { useProject } from '../support/project.js';

const project = useProject();
let container = '';
beforeAll(async () => void (container = await project.api.newContainer()));

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const files = () => `/containers/${container}/files`;

describe.each(withOld)('multipart of $name', ({ name, connect, toFile }: OfficialClient) => {
  it('33: uploads', async () => {
    const client = connect(project);
    const file = await client.containers.files.create(container, {
      file: await toFile(Buffer.from('hello'), `${name}.txt`),
    });
    expect(file).toEqual({
      id: expect.stringMatching(/^cfile_[0-9a-f]{32}$/),
      object: 'container.file',
      container_id: container,
      created_at: expect.any(Number),
      bytes: 5,
      path: `/mnt/data/${name}.txt`,
      source: 'user',
    });
    expect(await project.api.printed(container, `print(open(${JSON.stringify(file.path)}).read())`)).toBe(
      'hello\n',
    );
  });

  it('34: copies a file by its id, once', async () => {
    const client = connect(project);
    const id = await project.api.upload(`copied by ${name}.csv`, 'a,b');
    const file = await client.containers.files.create(container, { file_id: id });
    expect(file).toMatchObject({
      bytes: 3,
      source: 'user',
      path: expect.stringContaining(`copied by ${name}.csv`),
    });
    expect(await client.containers.files.create(container, { file_id: id })).toEqual(file);
    await project.api.ok('DELETE', `/files/${id}`);
    expect((await project.api.get(`${files()}/${file.id}/content`)).text).toBe('a,b');
  });
});

describe.each(current)('$name', ({ connect, toFile }: OfficialClient) => {
  it('36: returns identical bytes', async () => {
    const client = connect(project);
    const bytes = randomBytes(1024 * 1024);
    const file = await client.containers.files.create(container, { file: await toFile(bytes, 'random.bin') });
    const reply = await client.containers.files.content.retrieve(file.id, { container_id: container });
    expect(reply.headers.get('content-length')).toBe(String(bytes.length));
    expect(sha256(new Uint8Array(await reply.arrayBuffer()))).toBe(sha256(bytes));
  });

  it('37: lists, retrieves, deletes', async () => {
    const client = connect(project);
    const own = await project.api.newContainer();
    const made = [];
    for (const name of ['a', 'b', 'c']) {
      made.push(
        await client.containers.files.create(own, { file: await toFile(Buffer.from(name), `${name}.txt`) }),
      );
    }
    const listed = await collect(client.containers.files.list(own, { limit: 2, order: 'asc' }));
    expect(listed).toEqual(made);
    expect(await collect(client.containers.files.list(own, { limit: 2 }))).toEqual([...made].reverse());
    expect(await client.containers.files.retrieve(made[1]!.id, { container_id: own })).toEqual(made[1]);
    const exists = (path: string) =>
      project.api.printed(own, `import os; print(os.path.exists(${JSON.stringify(path)}))`);
    expect(await exists(made[1]!.path)).toBe('True\n');
    await client.containers.files.delete(made[1]!.id, { container_id: own });
    expect(await exists(made[1]!.path)).toBe('False\n');
    expect((await collect(client.containers.files.list(own))).map(({ id }) => id)).toEqual([
      made[2]!.id,
      made[0]!.id,
    ]);
    expect(await errorOf(client.containers.files.retrieve(made[1]!.id, { container_id: own }))).toMatchObject(
      { status: 404 },
    );
    expect(await errorOf(client.containers.files.delete(made[1]!.id, { container_id: own }))).toMatchObject({
      status: 404,
    });
    await client.containers.delete(own);
  });

  it('38: knows no file of another container', async () => {
    const client = connect(project);
    const file = await client.containers.files.create(container, {
      file: await toFile(Buffer.from('x'), 'here.txt'),
    });
    const elsewhere = await project.api.newContainer();
    for (const call of [
      () => client.containers.files.retrieve(file.id, { container_id: elsewhere }),
      () => client.containers.files.delete(file.id, { container_id: elsewhere }),
      () => client.containers.files.content.retrieve(file.id, { container_id: elsewhere }),
    ]) {
      expect(await errorOf(call())).toMatchObject({ status: 404 });
    }
    await client.containers.delete(elsewhere);
  });
});

describe('over plain HTTP', () => {
  const form = (parts: Record<string, string | Blob>) => {
    const data = new FormData();
    for (const [name, value] of Object.entries(parts)) {
      if (typeof value === 'string') data.append(name, value);
      else data.append(name, value, 'part.txt');
    }
    return data;
  };

  it('35: needs a file or an id', async () => {
    const { api } = project;
    expect(await api.refused(400, 'POST', files(), {})).toMatchObject({ code: 'missing_required_parameter' });
    expect(await api.refused(400, 'POST', files(), form({}))).toMatchObject({
      type: 'invalid_request_error',
    });
    expect(await api.refused(400, 'POST', files(), form({ other: 'x' }))).toMatchObject({
      code: 'unknown_parameter',
      param: 'other',
    });
    expect(await api.refused(400, 'POST', files(), { file_id: null })).toMatchObject({ param: 'file_id' });
    expect(await api.refused(400, 'POST', files())).toMatchObject({ type: 'invalid_request_error' });
  });

  it('35: refuses both at once', async () => {
    const id = await project.api.upload('both.txt', 'x');
    const error = await project.api.refused(
      400,
      'POST',
      files(),
      form({ file: new Blob(['x']), file_id: id }),
    );
    expect(error.code).toBe('mutually_exclusive_parameters');
  });

  it('34: says which file is unknown', async () => {
    const error = await project.api.refused(404, 'POST', files(), { file_id: 'file-x' });
    expect(error).toMatchObject({ message: 'No such File object: file-x' });
    await project.api.refused(404, 'POST', files(), form({ file_id: 'file-x' }));
  });

  it('37: the answer to a delete is JSON', async () => {
    const { id } = await project.api.ok<{ id: string }>('POST', files(), form({ file: new Blob(['x']) }));
    expect(await project.api.ok('DELETE', `${files()}/${id}`)).toEqual({
      id,
      object: 'container.file.deleted',
      deleted: true,
    });
  });

  it.each([
    '../../etc/passwd',
    'a/b.txt',
    '/etc/shadow',
    'C:\\windows\\system.ini',
    '..',
    '.',
    'x'.repeat(400),
    'a\tb.txt',
    '-rf',
    '~',
  ])('39: %j lands in /mnt/data', async (name) => {
    const data = new FormData();
    data.append('file', new Blob(['safe']), name);
    const file = await project.api.ok<{ path: string }>('POST', files(), data);
    expect(file.path).toMatch(/^\/mnt\/data\/[^/\p{Cc}\\]+$/u);
    const base = file.path.slice('/mnt/data/'.length);
    expect(['.', '..']).not.toContain(base);
    expect(Buffer.byteLength(base)).toBeLessThanOrEqual(255);
    expect(await project.api.printed(container, `print(open(${JSON.stringify(file.path)}).read())`)).toBe(
      'safe\n',
    );
  });

  it('39: two files of one name are two files', async () => {
    const first = await project.api.ok<{ id: string; path: string }>(
      'POST',
      files(),
      form({ file: new Blob(['one']) }),
    );
    const second = await project.api.ok<{ id: string; path: string }>(
      'POST',
      files(),
      form({ file: new Blob(['two']) }),
    );
    expect(second.path).not.toBe(first.path);
    expect((await project.api.get(`${files()}/${first.id}/content`)).text).toBe('one');
    expect((await project.api.get(`${files()}/${second.id}/content`)).text).toBe('two');
  });

  it('a file that code rewrites keeps its id, one that code removes leaves the list', async () => {
    const { api } = project;
    const own = await api.newContainer();
    await api.run(own, "open('/mnt/data/out.txt', 'w').write('one')");
    const list = () =>
      api.ok<Page<{ id: string; bytes: number; source: string }>>('GET', `/containers/${own}/files`);
    const [before] = (await list()).data;
    expect(before).toMatchObject({ bytes: 3, source: 'assistant', path: '/mnt/data/out.txt' });
    await api.run(own, "open('/mnt/data/out.txt', 'w').write('three')");
    expect((await list()).data).toEqual([{ ...before, bytes: 5 }]);
    await api.run(own, "import os; os.remove('/mnt/data/out.txt')");
    expect((await list()).data).toEqual([]);
    await api.delete(`/containers/${own}`);
  });

  it('lists folders recursively, and nothing that leads out of them', async () => {
    const { api } = project;
    const own = await api.newContainer();
    await api.run(
      own,
      [
        'import os',
        "os.makedirs('/mnt/data/a/b', exist_ok=True); os.makedirs('/mnt/data/__pycache__', exist_ok=True)",
        "open('/mnt/data/a/b/deep.txt', 'w').write('x'); open('/mnt/data/__pycache__/c.pyc', 'w').write('x')",
        "os.symlink('/etc/passwd', '/mnt/data/link'); os.mkfifo('/mnt/data/pipe')",
      ].join('\n'),
    );
    const page = await api.ok<Page<{ path: string }>>('GET', `/containers/${own}/files`);
    expect(page.data.map(({ path }) => path)).toEqual(['/mnt/data/a/b/deep.txt']);
    await api.delete(`/containers/${own}`);
  });
});
