/** Requests with and without an `Idempotency-Key`. */
import type { InjectOptions } from 'fastify';
import { afterAll, afterEach, beforeAll, vi } from 'vitest';
import { type AdminApp, type Answer, answerOf, startAdminApp } from '../admin/admin-app.js';

export let server: AdminApp;
export let project: { readonly id: string; readonly key: string };
/** Called by each test file: a server for its tests, on which no key was used before a test. */
export function useServer(): void {
  beforeAll(async () => {
    server = await startAdminApp();
    project = await server.project();
  });
  afterAll(() => server?.stop());
  afterEach(async () => {
    vi.restoreAllMocks();
    await server.prisma.idempotencyKey.deleteMany();
  });
}

export const UPLOAD = { filename: 'a.txt', bytes: 6, purpose: 'user_data', mime_type: 'text/plain' };

let count = 0;
export const newKey = () => `key-${(count += 1)}`;

export interface Sent {
  readonly auth?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: InjectOptions['payload'];
}

export async function post(key: string | undefined, path: string, sent: Sent = {}): Promise<Answer> {
  const reply = await server.app.inject({
    method: 'POST',
    url: `/v1${path}`,
    headers: {
      authorization: `Bearer ${sent.auth ?? project.key}`,
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...sent.headers,
    },
    ...(sent.body === undefined ? {} : { payload: sent.body }),
  });
  return answerOf(reply);
}

export const replayed = ({ headers }: Answer) => headers['idempotent-replayed'];

export function form(content: string, purpose = 'user_data'): Sent {
  count += 1;
  const boundary = `b${count}`;
  const parts = [
    `--${boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\n${purpose}\r\n`,
    `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a.txt"\r\n\r\n${content}\r\n`,
    `--${boundary}--\r\n`,
  ];
  return {
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: (purpose === 'none' ? parts.slice(1) : parts).join(''),
  };
}

export function partForm(content: string): Sent {
  const { headers, body } = form(content, 'none');
  return { headers, body: String(body).replace('name="file"', 'name="data"') };
}

export const rows = () => server.prisma.idempotencyKey.findMany({ where: { projectId: project.id } });
/** As if the server that ran it had ended a while ago, without a word. */
export const abandon = (data: object = {}) =>
  server.prisma.idempotencyKey.updateMany({
    where: { projectId: project.id },
    data: { outcome: null, reply: null, status: null, leaseUntil: new Date(0), ...data },
  });
