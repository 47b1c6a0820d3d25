/**
 * A model endpoint for tests: a real HTTP server that plays scripts, answers by rules when there is
 * none, and misbehaves on demand. Control API, for use as a process of its own:
 *
 *   POST   /control/scripts   {"model": "m", "turns": [ScriptedTurn, …]}   queues turns for a model
 *   GET    /control/requests                                               what was asked so far
 *   DELETE /control                                                        forgets both
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { toChunks, toCompletion, type TurnFacts } from './dialects.ts';
import { byName, byRules } from './rules.ts';
import type { ChatRequest, RecordedRequest, ScriptedTurn } from './script.ts';

export interface ModelEndpointOptions {
  /** Ids that GET /models lists. */
  readonly models?: readonly string[];
  /** Requests without this key are refused. */
  readonly key?: string;
}

type Facts = TurnFacts & { readonly written: number[] };

async function readJson(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString() || 'null');
}

function sendJson(
  reply: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  reply.writeHead(status, { 'content-type': 'application/json', ...headers });
  reply.end(JSON.stringify(body));
}

export class ModelEndpoint {
  readonly requests: RecordedRequest[] = [];
  private readonly server: Server;
  private readonly options: ModelEndpointOptions;
  private readonly scripts = new Map<string, ScriptedTurn[]>();
  private turns = 0;

  constructor(options: ModelEndpointOptions = {}) {
    this.options = options;
    this.server = createServer((request, reply) => {
      this.serve(request, reply).catch((error: unknown) => {
        if (reply.headersSent) reply.destroy();
        else sendJson(reply, 500, { error: { message: String(error) } });
      });
    });
  }

  /** Resolves when it listens; 0 picks a port. */
  async start(port = 0, host = '127.0.0.1'): Promise<this> {
    await new Promise<void>((done) => void this.server.listen(port, host, done));
    return this;
  }

  /** Base URL as clients configure it. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/v1`;
  }

  /** Queues turns for a model; each request takes one, and rules answer when the queue is empty. */
  script(model: string, ...turns: readonly ScriptedTurn[]): void {
    this.scripts.set(model, [...(this.scripts.get(model) ?? []), ...turns]);
  }

  /** What a model was asked so far, oldest first. */
  requestsOf(model: string): RecordedRequest[] {
    return this.requests.filter(({ body }) => body?.model === model);
  }

  reset(): void {
    this.requests.length = 0;
    this.scripts.clear();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => void this.server.close(done));
  }

  private async serve(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://fake').pathname;
    if (path.startsWith('/control')) return this.control(request, reply, path);
    const { key, models } = this.options;
    if (key !== undefined && request.headers.authorization !== `Bearer ${key}`) {
      const shown = request.headers.authorization ?? '';
      return sendJson(reply, 401, {
        error: {
          message: `Incorrect API key provided: ${shown}`,
          type: 'invalid_request_error',
          code: 'invalid_api_key',
        },
      });
    }
    if (request.method === 'GET' && path === '/v1/models') {
      const data = (models ?? ['rules']).map((id) => ({
        id,
        object: 'model',
        created: 1_764_000_000,
        owned_by: 'fake',
      }));
      return sendJson(reply, 200, { object: 'list', data });
    }
    if (request.method === 'POST' && path === '/v1/chat/completions')
      return this.complete(request, reply, path);
    return sendJson(reply, 404, {
      error: { message: `Unknown path ${path}`, type: 'invalid_request_error' },
    });
  }

  private async control(request: IncomingMessage, reply: ServerResponse, path: string): Promise<void> {
    if (request.method === 'POST' && path === '/control/scripts') {
      const { model, turns } = (await readJson(request)) as { model: string; turns: ScriptedTurn[] };
      this.script(model, ...turns);
    } else if (request.method === 'DELETE') {
      this.reset();
    } else if (path === '/control/requests') {
      return sendJson(reply, 200, { data: this.requests });
    }
    return sendJson(reply, 200, { ok: true });
  }

  private async complete(request: IncomingMessage, reply: ServerResponse, path: string): Promise<void> {
    const body = (await readJson(request)) as ChatRequest;
    const recorded: RecordedRequest = {
      path,
      headers: request.headers,
      body,
      written_at: [],
      aborted: false,
    };
    this.requests.push(recorded);
    reply.once('close', () => {
      recorded.aborted ||= !reply.writableFinished;
    });
    const turn = this.scripts.get(body.model)?.shift() ?? byName(body.model) ?? byRules(body);
    this.turns += 1;
    const facts = {
      model: body.model,
      number: this.turns,
      promptCharacters: JSON.stringify(body.messages).length,
      topLogprobs: body['logprobs'] === true ? Number(body['top_logprobs'] ?? 0) : undefined,
    };
    await this.play(turn, { ...facts, written: recorded.written_at }, body.stream === true, reply);
  }

  private async play(
    turn: ScriptedTurn,
    facts: Facts,
    streamed: boolean,
    reply: ServerResponse,
  ): Promise<void> {
    const { fault } = turn;
    if (fault?.kind === 'status') {
      const headers = fault.retry_after === undefined ? {} : { 'retry-after': String(fault.retry_after) };
      return sendJson(
        reply,
        fault.status,
        fault.body ?? { error: { message: `Scripted status ${fault.status}` } },
        headers as Record<string, string>,
      );
    }
    if (fault?.kind === 'garbage' && fault.after === undefined) {
      reply.writeHead(200, { 'content-type': 'text/html' });
      reply.end('<html><body>This is not a model.</body></html>');
      return;
    }
    if (!streamed || turn.dialect === 'whole') return sendJson(reply, 200, toCompletion(turn, facts));
    await this.stream(turn, facts, reply);
  }

  private async stream(turn: ScriptedTurn, facts: Facts, reply: ServerResponse): Promise<void> {
    const { fault } = turn;
    if (fault?.kind === 'disconnect' && (fault.after ?? 0) === 0) return void reply.socket?.destroy();
    reply.writeHead(200, { 'content-type': 'text/event-stream' });
    reply.flushHeaders();
    if (turn.dialect === 'openrouter') reply.write(': OPENROUTER PROCESSING\n\n');
    for (const [index, chunk] of toChunks(turn, facts).entries()) {
      if (turn.delay_ms !== undefined) await sleep(turn.delay_ms);
      if (reply.destroyed) return;
      if (fault && 'after' in fault && (fault.after ?? 0) === index) {
        await sleep(5);
        return this.misbehave(fault, reply);
      }
      facts.written.push(performance.now());
      reply.write(`data: ${JSON.stringify(chunk)}\n\n`);
    }
    reply.end('data: [DONE]\n\n');
  }

  private misbehave(fault: Exclude<ScriptedTurn['fault'], undefined>, reply: ServerResponse): void {
    if (fault.kind === 'disconnect') reply.socket?.destroy();
    if (fault.kind === 'cut') reply.end();
    if (fault.kind === 'garbage') reply.end('data: {"choices":[{"delta":\n\n');
    if (fault.kind === 'error') reply.end(`data: ${JSON.stringify({ error: fault.error })}\n\n`);
    // A stall does nothing, for ever.
  }
}
