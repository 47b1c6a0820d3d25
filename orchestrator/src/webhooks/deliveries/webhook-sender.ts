/** One POST to a receiver that nobody trusts: no redirects, little time, little of its answer. */
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Inject, Injectable } from '@nestjs/common';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { ForbiddenTargetError, WebhookTargets } from '../target/target.service.js';
import type { Outcome } from './delivery.types.js';

/** Bytes of an answer that are kept; what comes after them is not read. */
const ANSWER_BYTES = 1024;
const ERROR_CHARACTERS = 300;
const USER_AGENT = 'code-interpreter-webhooks/1';
/** PostgreSQL keeps any text but this. */
const NUL = /\0/g;

interface Answer {
  readonly status: number;
  readonly text: string;
}

@Injectable()
export class WebhookSender {
  constructor(
    private readonly targets: WebhookTargets,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /** Never rejects: what goes wrong is the outcome. */
  async post(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<Outcome> {
    const startedAt = new Date();
    const started = performance.now();
    const done = (rest: Pick<Outcome, 'kind' | 'status' | 'error' | 'answer'>): Outcome => ({
      startedAt,
      durationMs: Math.round(performance.now() - started),
      ...rest,
    });
    try {
      const { status, text } = await this.ask(url, headers, body);
      const taken = status >= 200 && status < 300;
      const error = taken ? null : `The receiver answered ${status}.`;
      return done({ kind: taken ? 'delivered' : 'refused', status, error, answer: text });
    } catch (error) {
      const kind = error instanceof ForbiddenTargetError ? 'forbidden' : 'unreachable';
      return done({ kind, status: null, error: this.describe(error), answer: null });
    }
  }

  private async ask(url: string, headers: Readonly<Record<string, string>>, body: string): Promise<Answer> {
    const target = new URL(url);
    this.targets.assertHost(target.hostname);
    const signal = AbortSignal.timeout(this.env.WEBHOOK_TIMEOUT_MS);
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const request = (target.protocol === 'https:' ? httpsRequest : httpRequest)(target, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
        'user-agent': USER_AGENT,
        ...headers,
      },
      lookup: this.targets.lookup,
      agent: false,
      signal,
    });
    let answered = false;
    // A reply that is cut off is an error of the request as well; by then its status is known.
    request.on('error', (error) => answered || reject(error));
    request.on('response', (reply) => {
      answered = true;
      void beginningOf(reply).then(resolve);
    });
    request.end(body);
    try {
      return await promise;
    } finally {
      request.destroy();
    }
  }

  private describe(error: unknown): string {
    const { name, code, message } = error as NodeJS.ErrnoException;
    if (name === 'AbortError' || name === 'TimeoutError') {
      return `No answer within ${this.env.WEBHOOK_TIMEOUT_MS} ms.`;
    }
    const causes = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [];
    return (message || causes[0]?.message || code || 'no connection').slice(0, ERROR_CHARACTERS);
  }
}

/** Its status is known, so whatever happens to the rest of the answer changes nothing. */
async function beginningOf(reply: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of reply as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes >= ANSWER_BYTES) break;
    }
  } catch {
    // Cut off by the receiver, or too slow.
  }
  const text = Buffer.concat(chunks).subarray(0, ANSWER_BYTES).toString('utf8').replaceAll(NUL, '');
  return { status: reply.statusCode ?? 0, text };
}
