/** The edges of the Files API: input that is wrong, downloads that ask for more than the bytes. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type FilesApp, startFilesApp } from './files-app.js';

let files: FilesApp;
beforeAll(async () => {
  files = await startFilesApp();
});
afterAll(() => files.stop());
beforeEach(() => files.prisma.file.deleteMany());

interface WireError {
  readonly type: string;
  readonly message: string;
  readonly code: string | null;
  readonly param: string | null;
}

const request = (
  path: string,
  init: { method?: string; body?: string | FormData; headers?: Record<string, string> } = {},
) =>
  fetch(`${files.baseURL}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${files.keys.first}`, ...init.headers },
  });

describe('bad input', () => {
  it.each([
    ['/files?limit=0', 400, 'limit', 'limit must be between 1 and 10000.', 'integer_below_min_value'],
    ['/files?limit=10001', 400, 'limit', 'limit must be between 1 and 10000.', 'integer_above_max_value'],
    ['/files?limit=-1', 400, 'limit', 'limit must be between 1 and 10000.', 'integer_below_min_value'],
    ['/files?limit=x', 400, 'limit', /limit/, 'invalid_type'],
    ['/files?limit=1e3', 400, 'limit', /limit/, 'invalid_type'],
    ['/files?limit=1&limit=2', 400, 'limit', /limit/, 'invalid_type'],
    ['/files?limit=99999999999999999999', 400, 'limit', /limit/, /./],
    ['/files?order=up', 400, 'order', /'asc' and 'desc'/, 'invalid_value'],
    ['/files?purpose=nonsense', 400, 'purpose', /'nonsense' is not one of/, null],
    ['/files?after=file-unknown', 404, 'after', 'Resource not found.', null],
    ['/files?after=%00', 200, null, null, null],
    ['/files?after=%27%3Bdrop', 404, 'after', 'Resource not found.', null],
    ['/files/file-x', 404, 'id', 'No such File object: file-x', null],
    ['/files/%00', 404, null, /./, null],
    ['/files/..%2F..%2Fetc%2Fpasswd', 404, 'id', /No such File object/, null],
    ['/files/file-x/content', 404, 'id', 'No such File object: file-x', null],
    ['/files/%F0%9F%8E%89', 404, 'id', /No such File object/, null],
    ['/files?limit=&after=&unknown=1', 200, null, null, null],
  ])('GET %s → %d', async (path, status, param, message, code) => {
    const response = await request(path);
    expect(response.status).toBe(status);
    if (status === 200) return;
    const { error } = (await response.json()) as { error: WireError };
    expect(error).toMatchObject({ type: 'invalid_request_error', param });
    expect(error.message).toMatch(
      message instanceof RegExp ? message : new RegExp(`^${message!.replace('.', '\\.')}$`),
    );
    if (code instanceof RegExp) expect(error.code).toMatch(code);
    else expect(error.code).toBe(code);
  });

  const post = async (fields: Record<string, string | Blob>) => {
    const body = new FormData();
    for (const [name, value] of Object.entries(fields)) body.append(name, value);
    const response = await request('/files', { method: 'POST', body });
    return { status: response.status, ...((await response.json()) as { error: object }).error };
  };
  const file = () => new Blob(['x']);

  it.each([
    [{ purpose: 'user_data' }, 400, 'missing_required_parameter', 'file'],
    [{ file: 'text', purpose: 'user_data' }, 400, 'invalid_type', 'file'],
    [{ file: file() }, 400, 'missing_required_parameter', 'purpose'],
    [{ file: file(), purpose: '' }, 400, null, 'purpose'],
    [{ file: file(), purpose: 'user_data\0' }, 400, null, 'purpose'],
    [{ file: file(), purpose: 'user_data', foo: '1' }, 400, 'unknown_parameter', 'foo'],
    [{ file: file(), purpose: 'user_data', other: file() }, 400, 'unknown_parameter', 'other'],
    [{ file: file(), purpose: 'user_data', expires_after: '3600' }, 400, 'invalid_type', 'expires_after'],
    [
      { file: file(), purpose: 'user_data', 'expires_after[seconds]': '3600' },
      400,
      'missing_required_parameter',
      'expires_after.anchor',
    ],
    [
      { file: file(), purpose: 'user_data', 'expires_after[anchor]': 'created_at' },
      400,
      'missing_required_parameter',
      'expires_after.seconds',
    ],
    [
      {
        file: file(),
        purpose: 'user_data',
        'expires_after[anchor]': 'now',
        'expires_after[seconds]': '3600',
      },
      400,
      'invalid_value',
      'expires_after.anchor',
    ],
    [
      {
        file: file(),
        purpose: 'user_data',
        'expires_after[anchor]': 'created_at',
        'expires_after[seconds]': 'soon',
      },
      400,
      'invalid_type',
      'expires_after.seconds',
    ],
  ] as [Record<string, string | Blob>, number, string | null, string][])(
    'POST /files %j → %d',
    async (fields, status, code, param) => {
      expect(await post(fields)).toMatchObject({ status, code, param, type: 'invalid_request_error' });
      expect(await files.prisma.file.count()).toBe(0);
    },
  );

  it('answers JSON on the multipart path, and a missing key', async () => {
    const json = await request('/files', {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    });
    expect(json.status).toBe(415);
    const anonymous = await fetch(`${files.baseURL}/files`, { method: 'POST', body: new FormData() });
    expect(anonymous.status).toBe(401);
  });
});

describe('downloads', () => {
  const upload = async (name: string, data: string) => {
    const body = new FormData();
    body.append('file', new Blob([data]), name);
    body.append('purpose', 'user_data');
    const response = await request('/files', { method: 'POST', body });
    return ((await response.json()) as { id: string }).id;
  };

  it('sends ranges', async () => {
    const id = await upload('digits.txt', '0123456789');
    const get = (headers: Record<string, string>) => request(`/files/${id}/content`, { headers });
    const part = await get({ range: 'bytes=2-4' });
    expect([
      part.status,
      part.headers.get('content-range'),
      part.headers.get('content-length'),
      await part.text(),
    ]).toEqual([206, 'bytes 2-4/10', '3', '234']);
    const beyond = await get({ range: 'bytes=10-' });
    expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, 'bytes */10']);
    const etag = part.headers.get('etag')!;
    expect((await get({ range: 'bytes=0-0', 'if-range': etag })).status).toBe(206);
    expect((await get({ range: 'bytes=0-0', 'if-range': '"other"' })).status).toBe(200);
  });

  it('never becomes a page of this server', async () => {
    const id = await upload('evil.html', '<script>alert(1)</script>');
    const { headers } = await request(`/files/${id}/content`);
    expect(headers.get('content-disposition')).toMatch(/^attachment;/);
    expect(headers.get('content-security-policy')).toContain('sandbox');
  });

  it('answers HEAD with the headers alone', async () => {
    const id = await upload('digits.txt', '0123456789');
    const response = await request(`/files/${id}/content`, { method: 'HEAD' });
    expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([
      200,
      '10',
      '',
    ]);
  });
});
