/** Signed links: an address opens a file without a key, until it expires, is revoked or is switched off. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RetentionService } from '../../../orchestrator/src/retention/retention.service.js';
import { type AdminApp, answerOf, startAdminApp } from '../admin/admin-app.js';

const DAY_MS = 86_400_000;

let server: AdminApp;
beforeAll(async () => {
  server = await startAdminApp({ PUBLIC_URL: 'https://files.example.com/' });
});
afterAll(() => server?.stop());

async function upload(
  key: string,
  name: string,
  content: string | Buffer,
  path = '/v1/files',
): Promise<string> {
  const form = new FormData();
  if (path === '/v1/files') form.append('purpose', 'user_data');
  form.append('file', new Blob([content as never]), name);
  const encoded = new Response(form);
  const reply = await server.app.inject({
    method: 'POST',
    url: path,
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': encoded.headers.get('content-type')!,
    },
    payload: Buffer.from(await encoded.arrayBuffer()),
  });
  if (reply.statusCode !== 200) throw new Error(reply.body);
  return reply.json<{ id: string }>().id;
}

const create = (key: string, file: string, seconds?: number) =>
  server.ask(
    key,
    'POST',
    `/v1/files/${file}/links`,
    seconds === undefined ? {} : { expires_after: { anchor: 'created_at', seconds } },
  );

/** Follows an address as a browser does: no key, its path alone. */
async function follow(url: string, headers: Record<string, string> = {}, method: 'GET' | 'HEAD' = 'GET') {
  return answerOf(await server.app.inject({ method, url: new URL(url).pathname, headers }));
}

interface Linked {
  readonly key: string;
  readonly project: string;
  readonly file: string;
  readonly link: string;
  readonly url: string;
}

async function linked(name = 'report.txt', content: string | Buffer = 'the report'): Promise<Linked> {
  const { id: project, key } = await server.project();
  const file = await upload(key, name, content);
  const { body } = await create(key, file);
  return { key, project, file, link: body.id, url: body['url'] as string };
}

const listed = async ({ key, file }: Pick<Linked, 'key' | 'file'>, query = '') =>
  (await server.ask(key, 'GET', `/v1/files/${file}/links${query}`)).body;

describe('a link', () => {
  it('opens a file without a key, and says what it is', async () => {
    const { key } = await server.project();
    const file = await upload(key, 'Umsätze 2026.txt', 'the report');
    const { status, body } = await create(key, file, 3_600);
    expect(status).toBe(200);
    expect(body).toEqual({
      id: expect.stringMatching(/^link_[0-9a-f]{24}$/) as string,
      object: 'file.link',
      file_id: file,
      filename: 'Umsätze 2026.txt',
      url: expect.stringMatching(
        /^https:\/\/files\.example\.com\/links\/[\w-]{43}\/Ums%C3%A4tze%202026\.txt$/,
      ) as string,
      created_at: expect.any(Number) as number,
      expires_at: (body['created_at'] as number) + 3_600,
      downloads: 0,
      last_downloaded_at: null,
    });
    const opened = await follow(body['url'] as string);
    expect([opened.status, opened.text]).toEqual([200, 'the report']);
  });

  it('lasts a week if nothing else is asked for', async () => {
    const { key } = await server.project();
    const { body } = await create(key, await upload(key, 'a.txt', 'a'));
    expect((body['expires_at'] as number) - (body['created_at'] as number)).toBe(604_800);
  });

  it('opens under any name, and under none', async () => {
    const { url } = await linked();
    const bare = url.slice(0, url.lastIndexOf('/'));
    for (const address of [bare, `${bare}/`, `${bare}/other.html`])
      expect((await follow(address)).text, address).toBe('the report');
  });

  it('has an address that every router takes, however long the name is', async () => {
    const name = `${'ж'.repeat(120)}.xlsx`;
    const { url } = await linked(name, 'x');
    expect(new URL(url).pathname).toMatch(/^\/links\/[\w-]{43}\/file\.xlsx$/);
    expect(String((await follow(url)).headers['content-disposition'])).toContain(encodeURIComponent(name));
  });

  it('stands for the address that the caller uses where the server does not know its own', async () => {
    const other = await startAdminApp();
    try {
      const { key } = await other.project();
      const made = await other.ask(key, 'POST', '/v1/containers', { name: 'c' });
      const form = new Response(
        (() => {
          const data = new FormData();
          data.append('file', new Blob(['x']), 'x.txt');
          return data;
        })(),
      );
      const reply = await other.app.inject({
        method: 'POST',
        url: `/v1/containers/${made.body.id}/files`,
        headers: { authorization: `Bearer ${key}`, 'content-type': form.headers.get('content-type')! },
        payload: Buffer.from(await form.arrayBuffer()),
      });
      const link = await other.app.inject({
        method: 'POST',
        url: `/v1/files/${reply.json<{ id: string }>().id}/links`,
        headers: { authorization: `Bearer ${key}`, host: 'interpreter.lan:8080' },
        payload: {},
      });
      expect(link.json<{ url: string }>().url).toMatch(/^http:\/\/interpreter\.lan:8080\/links\//);
    } finally {
      await other.stop();
    }
  });

  it('opens a file of a container, also after the container has expired', async () => {
    const { key } = await server.project();
    const { body: container } = await server.ask(key, 'POST', '/v1/containers', { name: 'analysis' });
    const file = await upload(key, 'chart.csv', 'a,b', `/v1/containers/${container.id}/files`);
    const { body } = await create(key, file);
    expect(body).toMatchObject({ file_id: file, filename: 'chart.csv' });
    await server.ask(key, 'POST', `/v1/containers/${container.id}/expire`);
    expect((await follow(body['url'] as string)).text).toBe('a,b');
  });

  it('is stored without the token in its address', async () => {
    const { link, url } = await linked();
    const token = url.split('/').at(-2)!;
    const row = await server.prisma.fileLink.findUniqueOrThrow({ where: { id: link } });
    expect(
      JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
    ).not.toContain(token);
    expect(row.tokenHash).toBe(createHash('sha256').update(token).digest('hex'));
  });
});

describe('what is opened', () => {
  it.each([
    ['chart.png', 'image/png'],
    ['photo.JPG', 'image/jpeg'],
    ['notes.txt', 'text/plain; charset=utf-8'],
    ['table.csv', 'text/plain; charset=utf-8'],
    ['data.json', 'text/plain; charset=utf-8'],
    ['paper.pdf', 'application/pdf'],
  ])('is shown: %s', async (name, type) => {
    const { headers } = await follow((await linked(name)).url);
    expect(headers['content-type']).toBe(type);
    expect(headers['content-disposition']).toMatch(/^inline; /);
  });

  it.each(['page.html', 'page.xhtml', 'image.svg', 'feed.xml', 'code.js', 'book.xlsx', 'x.bin', 'README'])(
    'is saved, and never a page of this address: %s',
    async (name) => {
      const { headers } = await follow((await linked(name, '<script>alert(1)</script>')).url);
      expect(headers['content-type']).toBe('application/octet-stream');
      expect(headers['content-disposition']).toMatch(/^attachment; /);
    },
  );

  it.each(['a.txt', 'a.html', 'a.pdf'])(
    'can do nothing, is not kept and does not tell where it was: %s',
    async (name) => {
      const { headers } = await follow((await linked(name)).url);
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'content-security-policy': expect.stringContaining("default-src 'none'") as string,
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
        'x-robots-tag': 'noindex, nofollow',
        'cross-origin-resource-policy': 'cross-origin',
      });
      expect(String(headers['content-security-policy']).includes('sandbox')).toBe(name !== 'a.pdf');
    },
  );

  it.each(['a"b.txt', 'a\r\nset-cookie: x=1.txt', '../../etc/passwd', '💥.txt', "it's 100%.txt", '…'])(
    'has a name that breaks no header: %j',
    async (name) => {
      const { url } = await linked(name);
      const { status, headers } = await follow(url);
      expect(status).toBe(200);
      expect(headers).not.toHaveProperty('set-cookie');
      expect(String(headers['content-disposition'])).toMatch(/^(inline|attachment); filename="[^"\r\n]*"; /);
    },
  );

  it('can be had in parts', async () => {
    const { url } = await linked('a.txt', '0123456789');
    const part = await follow(url, { range: 'bytes=2-4' });
    expect([part.status, part.text, part.headers['content-range']]).toEqual([206, '234', 'bytes 2-4/10']);
    expect((await follow(url, { range: 'bytes=20-' })).status).toBe(416);
  });

  it('can be asked for without its content', async () => {
    const { url } = await linked('a.txt', '0123456789');
    const head = await follow(url, {}, 'HEAD');
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', '10']);
  });
});

describe('downloads', () => {
  it('are counted, each once, by many at the same time', async () => {
    const at = await linked();
    await Promise.all(Array.from({ length: 20 }, () => follow(at.url)));
    const { data } = await listed(at);
    expect(data[0]).toMatchObject({ downloads: 20, last_downloaded_at: expect.any(Number) as number });
  });

  it('are not what asks for the size, or goes on with a download', async () => {
    const at = await linked('a.txt', '0123456789');
    await follow(at.url, {}, 'HEAD');
    await follow(at.url, { range: 'bytes=5-' });
    expect((await listed(at)).data[0]?.['downloads']).toBe(0);
    await follow(at.url, { range: 'bytes=0-4' });
    expect((await listed(at)).data[0]?.['downloads']).toBe(1);
  });
});

describe('a link ends', () => {
  const sentence = async (url: string): Promise<[number, string, unknown]> => {
    const { status, text, headers } = await follow(url);
    expect(headers['cache-control']).toBe('no-store');
    return [status, text, headers['content-type']];
  };
  const PLAIN = 'text/plain; charset=utf-8';

  it('when its time is over, and says so for a day', async () => {
    const at = await linked();
    await server.prisma.fileLink.update({
      where: { id: at.link },
      data: { expiresAt: new Date(Date.now() - 1_000) },
    });
    expect(await sentence(at.url)).toEqual([410, expect.stringContaining('has expired'), PLAIN]);
    expect((await listed(at)).data).toEqual([]);
    const retention = server.app.get(RetentionService, { strict: false });
    await retention.forget();
    expect((await follow(at.url)).status).toBe(410);
    await retention.forget(new Date(Date.now() + DAY_MS));
    expect((await follow(at.url)).status).toBe(404);
    expect(await server.prisma.fileLink.count({ where: { id: at.link } })).toBe(0);
  });

  it('when it is revoked', async () => {
    const at = await linked();
    const revoke = () => server.ask(at.key, 'DELETE', `/v1/files/${at.file}/links/${at.link}`);
    expect((await revoke()).body).toEqual({ id: at.link, object: 'file.link', deleted: true });
    expect(await sentence(at.url)).toEqual([404, expect.stringContaining('opens nothing'), PLAIN]);
    expect((await revoke()).status).toBe(404);
  });

  it('with its file', async () => {
    const at = await linked();
    await server.ask(at.key, 'DELETE', `/v1/files/${at.file}`);
    expect((await follow(at.url)).status).toBe(404);
  });

  it('with its container', async () => {
    const { key } = await server.project();
    const { body: container } = await server.ask(key, 'POST', '/v1/containers', { name: 'analysis' });
    const file = await upload(key, 'a.txt', 'a', `/v1/containers/${container.id}/files`);
    const url = (await create(key, file)).body['url'] as string;
    await server.ask(key, 'DELETE', `/v1/containers/${container.id}/files/${file}`);
    expect((await follow(url)).status).toBe(404);
  });

  it('with its project', async () => {
    const at = await linked();
    await server.admin('DELETE', `/admin/v1/projects/${at.project}?force=true`);
    expect((await follow(at.url)).status).toBe(404);
  });

  it.each(['AAAA', 'A'.repeat(43), 'A'.repeat(44), '%2e%2e', '%F0%9F%92%A5', "'--"])(
    'before it began where nobody made one: %s',
    async (token) => {
      expect((await follow(`https://a/links/${token}/x.txt`)).status).toBe(404);
    },
  );
});

describe('a project', () => {
  it('whose operator switches links off makes none, and those that are out open nothing until they are on again', async () => {
    const at = await linked();
    const change = await server.admin('POST', `/admin/v1/projects/${at.project}`, { links: false });
    expect(change.body).toMatchObject({ links: false });
    const refused = await create(at.key, at.file);
    expect([refused.status, refused.body.error.code]).toEqual([403, 'links_disabled']);
    expect((await follow(at.url)).status).toBe(404);
    await server.admin('POST', `/admin/v1/projects/${at.project}`, { links: true });
    expect((await follow(at.url)).status).toBe(200);
  });

  it('that is suspended has its links suspended', async () => {
    const at = await linked();
    await server.admin('POST', `/admin/v1/projects/${at.project}`, { status: 'suspended' });
    expect((await follow(at.url)).status).toBe(404);
  });

  it('can be made without links', async () => {
    const { body } = await server.admin('POST', '/admin/v1/projects', { name: 'closed', links: false });
    expect(body).toMatchObject({ links: false });
  });

  it('neither makes, sees nor revokes links of another', async () => {
    const at = await linked();
    const { key } = await server.project();
    expect((await create(key, at.file)).status).toBe(404);
    expect((await server.ask(key, 'GET', `/v1/files/${at.file}/links`)).status).toBe(404);
    expect((await server.ask(key, 'DELETE', `/v1/files/${at.file}/links/${at.link}`)).status).toBe(404);
    expect((await follow(at.url)).status).toBe(200);
  });
});

describe('links of a file', () => {
  it('are listed page by page, without their addresses', async () => {
    const at = await linked();
    const more = [(await create(at.key, at.file)).body.id, (await create(at.key, at.file)).body.id];
    const all = await listed(at);
    expect(all.data.map(({ id }) => id)).toEqual([more[1], more[0], at.link]);
    expect(all.data.every((link) => link['url'] === null)).toBe(true);
    const page = await listed(at, `?limit=1&order=asc&after=${at.link}`);
    expect([page.data.map(({ id }) => id), page['has_more']]).toEqual([[more[0]], true]);
    expect((await listed(at, '?after=link_0')).error.message).toContain('No such link');
  });

  it('are at most a thousand', async () => {
    const at = await linked();
    const row = { projectId: at.project, fileId: at.file, expiresAt: new Date(Date.now() + DAY_MS) };
    const many = Array.from({ length: 999 }, (_, index) => ({
      ...row,
      id: `link_x${at.link}${index}`,
      tokenHash: `${at.link}${index}`,
    }));
    await server.prisma.fileLink.createMany({ data: many });
    const refused = await create(at.key, at.file);
    expect([refused.status, refused.body.error.code]).toEqual([400, 'link_limit_reached']);
  });

  it.each([
    [{ expires_after: { anchor: 'created_at', seconds: 59 } }, 'expires_after.seconds'],
    [{ expires_after: { anchor: 'created_at', seconds: 2_592_001 } }, 'expires_after.seconds'],
    [{ expires_after: { anchor: 'last_active_at', seconds: 60 } }, 'expires_after.anchor'],
    [{ expires: 60 }, 'expires'],
  ])('are refused with %j', async (body, param) => {
    const at = await linked();
    const refused = await server.ask(at.key, 'POST', `/v1/files/${at.file}/links`, body);
    expect([refused.status, refused.body.error.param]).toEqual([400, param]);
  });
});
