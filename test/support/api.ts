/** Plain HTTP against a server, for what the official clients hide. */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Reply<T = Json> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
  readonly text: string;
}

/** A body whose shape the test is about to check. */
export type Json = Readonly<Record<string, unknown>>;

export interface WireError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

export interface Page<T = Json> {
  readonly object: string;
  readonly data: readonly T[];
  readonly first_id: string | null;
  readonly last_id: string | null;
  readonly has_more: boolean;
}

export interface Execution {
  readonly id: string;
  readonly object: string;
  readonly container_id: string;
  readonly status: string;
  readonly outputs: readonly {
    readonly type: string;
    readonly text?: string;
    readonly message?: string;
    readonly code?: string;
    readonly file_id?: string;
  }[];
  readonly error: { readonly name: string; readonly value: string; readonly traceback: string } | null;
  readonly files: readonly {
    readonly id: string;
    readonly path: string;
    readonly bytes: number;
    readonly change: string;
  }[];
  readonly state_lost: boolean;
  readonly duration_ms: number | null;
  readonly peak_memory_bytes: number | null;
  readonly timeout_ms: number;
}

export interface SseEvent {
  readonly event: string | undefined;
  readonly data: Json;
  readonly lines: readonly string[];
}

/** One block of a stream → its lines, taken apart. */
function toEvent(block: string): SseEvent {
  const lines = block.split('\n');
  const field = (name: string) =>
    lines
      .find((line) => line.startsWith(`${name}:`))
      ?.slice(name.length + 1)
      .trim();
  return { event: field('event'), data: JSON.parse(field('data') ?? 'null') as Json, lines };
}

export function parseSse(text: string): {
  events: SseEvent[];
  comments: string[];
  endsWithBlankLine: boolean;
} {
  const blocks = text.split('\n\n');
  const endsWithBlankLine = blocks.pop() === '';
  const comments = blocks.filter((block) => block.startsWith(':'));
  const events = blocks.filter((block) => block !== '' && !block.startsWith(':')).map(toEvent);
  return { events, comments, endsWithBlankLine };
}

export class Api {
  constructor(
    /** Base URL with the prefix. */
    readonly url: string,
    readonly key: string,
  ) {}

  /** Any request; the body is JSON unless it is a form, a string, or bytes. */
  async request<T = Json>(
    method: string,
    path: string,
    body?: unknown,
    options: { headers?: Readonly<Record<string, string>>; signal?: AbortSignal } = {},
  ): Promise<Reply<T>> {
    const raw =
      body === undefined ||
      body instanceof FormData ||
      typeof body === 'string' ||
      body instanceof Uint8Array;
    const reply = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.key}`,
        ...(body === undefined || body instanceof FormData ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      body: (raw ? body : JSON.stringify(body)) as never,
      signal: options.signal ?? AbortSignal.timeout(220_000),
    });
    const text = await reply.text();
    const isJson = reply.headers.get('content-type')?.includes('json') ?? false;
    return {
      status: reply.status,
      headers: reply.headers,
      text,
      body: (isJson ? JSON.parse(text) : null) as T,
    };
  }

  get<T = Json>(path: string): Promise<Reply<T>> {
    return this.request<T>('GET', path);
  }

  post<T = Json>(path: string, body?: unknown): Promise<Reply<T>> {
    return this.request<T>('POST', path, body);
  }

  delete<T = Json>(path: string): Promise<Reply<T>> {
    return this.request<T>('DELETE', path);
  }

  /** The body of a request that must succeed. */
  async ok<T = Json>(method: string, path: string, body?: unknown): Promise<T> {
    const reply = await this.request<T>(method, path, body);
    if (reply.status !== 200) throw new Error(`${method} ${path}: ${reply.status} ${reply.text}`);
    return reply.body;
  }

  /** The error of a request that must be refused with this status. */
  async refused(status: number, method: string, path: string, body?: unknown): Promise<WireError> {
    const reply = await this.request<{ error: WireError }>(method, path, body);
    if (reply.status !== status)
      throw new Error(`${method} ${path}: ${reply.status} instead of ${status}: ${reply.text}`);
    const keys = Object.keys(reply.body.error).sort().join();
    if (keys !== 'code,message,param,type') throw new Error(`not an error of ours: ${reply.text}`);
    return reply.body.error;
  }

  async newContainer(fields: Json = {}): Promise<string> {
    return (await this.ok<{ id: string }>('POST', '/containers', { name: 'test', ...fields })).id;
  }

  async upload(name: string, content: string | Uint8Array, purpose = 'user_data'): Promise<string> {
    const form = new FormData();
    form.append('purpose', purpose);
    form.append('file', new Blob([content as never]), name);
    return (await this.ok<{ id: string }>('POST', '/files', form)).id;
  }

  /** Runs code through the extension endpoint. */
  run(containerId: string, code: string, fields: Json = {}): Promise<Execution> {
    return this.ok<Execution>('POST', `/containers/${containerId}/executions`, { code, ...fields });
  }

  /** What code printed, its last value and tracebacks included. */
  async printed(containerId: string, code: string): Promise<string> {
    const { outputs } = await this.run(containerId, code);
    return outputs.map((output) => output.text ?? '').join('');
  }

  /** The whole stream of a request, as it was sent. */
  async stream(
    path: string,
    body: unknown,
    signal?: AbortSignal,
  ): Promise<Reply & ReturnType<typeof parseSse>> {
    const reply = await this.request('POST', path, body, signal === undefined ? {} : { signal });
    return { ...reply, ...parseSse(reply.text) };
  }

  async deleteContainers(): Promise<void> {
    for (;;) {
      const page = await this.ok<Page<{ id: string }>>('GET', '/containers?limit=100');
      await Promise.all(page.data.map(({ id }) => this.delete(`/containers/${id}`)));
      if (!page.has_more) return;
    }
  }
}

/** Asks until the answer is the wanted one; the last answer otherwise. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isWanted: (value: T) => boolean,
  timeoutMs = 15_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await ask();
    if (isWanted(value) || Date.now() > deadline) return value;
    await sleep(100);
  }
}
