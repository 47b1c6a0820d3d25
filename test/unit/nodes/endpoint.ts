/** An HTTP endpoint that remembers what it was asked, and answers as the test says. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { FakeContextOptions } from './context.js';

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly key: string;
}

/** An answer with a status of its own. */
export class Refusal {
  constructor(
    readonly status: number,
    readonly body: unknown,
  ) {}
}

export const refusal = (status: number, message: string, code: string | null = null): Refusal =>
  new Refusal(status, { error: { message, type: 'invalid_request_error', param: null, code } });

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

export class Endpoint {
  readonly asked: Asked[] = [];
  /** `POST /containers` → what is answered: JSON, content, a refusal, or a list of these, one after the other. */
  answers: Record<string, unknown> = {};
  baseUrl = '';
  private readonly server = createServer((request, reply) => void this.answer(request, reply));

  async start(): Promise<void> {
    await new Promise<void>((done) => void this.server.listen(0, '127.0.0.1', done));
    this.baseUrl = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1/`;
  }

  stop(): void {
    this.server.close();
  }

  forget(): void {
    this.asked.length = 0;
    this.answers = {};
  }

  /** Options of a node run that asks this endpoint. */
  at(more: Partial<FakeContextOptions>): FakeContextOptions {
    return { baseUrl: this.baseUrl, ...more };
  }

  /** The JSON that the request at this place brought. */
  json(index: number): Record<string, unknown> {
    return JSON.parse(Buffer.from(this.asked.at(index)?.body ?? '', 'latin1').toString()) as never;
  }

  get routes(): string[] {
    return this.asked.map(({ method, path }) => `${method} ${path.split('?')[0]}`);
  }

  private async answer(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const body = await bodyOf(request);
    const path = (request.url ?? '').replace(/^\/v1/, '');
    this.asked.push({ method: request.method ?? '', path, body, key: request.headers.authorization ?? '' });
    const route = `${request.method} ${path.split('?')[0]}`;
    const known = this.answers[route];
    const answer: unknown = Array.isArray(known) ? (known.length > 1 ? known.shift() : known[0]) : known;
    const { status, body: said } =
      answer instanceof Refusal
        ? answer
        : answer === undefined
          ? refusal(404, `Nothing at ${route}.`)
          : { status: 200, body: answer };
    const isContent = Buffer.isBuffer(said);
    reply.writeHead(status, { 'content-type': isContent ? 'application/octet-stream' : 'application/json' });
    reply.end(isContent ? said : JSON.stringify(said));
  }
}

/** An execution as the server shows it. */
export const execution = (more: object = {}): object => ({
  id: 'exec_1',
  object: 'container.execution',
  container_id: 'cntr_1',
  status: 'completed',
  outputs: [],
  error: null,
  files: [],
  value: null,
  state_lost: false,
  duration_ms: 5,
  ...more,
});

export const raised = (name: string, value: string): object =>
  execution({ error: { name, value, traceback: `line 1\n${name}: ${value}` } });
