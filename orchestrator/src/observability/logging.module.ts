/** One line per operation, secrets cut out where they would enter (contract of docs/security.md). */
import type { IncomingMessage } from 'node:http';
import { type DynamicModule, Module } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import type { Env } from '../config/env.schema.js';

const REDACT = [
  'req.headers.authorization',
  'req.headers["api-key"]',
  'req.headers.cookie',
  'secret',
  '*.secret',
];

/** The token in the address of a link opens a file, and the name behind it is confidential: no log may have them. */
const withoutToken = (path: string): string => path.replace(/(^|\/)[\w-]{43}(\/.*)?$/, '$1[token]');

/** Nest tells of every route and module at every start; whoever started the server looks for its address. */
const CHATTY = new Set(['InstanceLoader', 'RouterExplorer', 'RoutesResolver']);
const INFO = 30;

const isChatter = (subject: unknown, level: number): boolean =>
  level === INFO &&
  typeof subject === 'object' &&
  subject !== null &&
  CHATTY.has(String((subject as { context?: unknown }).context));

/** Whether a request gets no line of its own: questions after health would be most of the log. */
function unlogged(): (request: IncomingMessage) => boolean {
  // Paths outside of the API's prefix have the logger mounted twice, and see their path without its mount.
  const seen = new WeakSet<IncomingMessage>();
  return (request) => {
    const { originalUrl, url = '' } = request as IncomingMessage & { readonly originalUrl?: string };
    const again = seen.has(request);
    seen.add(request);
    return again || (originalUrl ?? url).startsWith('/health');
  };
}

@Module({})
export class LoggingModule {
  static forRoot(env: Env): DynamicModule {
    return {
      module: LoggingModule,
      imports: [
        LoggerModule.forRoot({
          pinoHttp: {
            level: env.LOG_LEVEL,
            hooks: {
              logMethod(parts, method, level) {
                if (!isChatter(parts[0], level)) method.apply(this, parts);
              },
            },
            redact: { paths: REDACT, censor: '[redacted]' },
            autoLogging: { ignore: unlogged() },
            customLogLevel: (_request, reply, error) =>
              error || reply.statusCode >= 500 ? 'error' : 'debug',
            serializers: {
              req: (request: { id: string; method: string; url: string }) => ({
                id: request.id,
                method: request.method,
                url: withoutToken(request.url.split('?')[0]!),
              }),
              res: (reply: { statusCode: number }) => ({ status: reply.statusCode }),
            },
            ...(env.LOG_FORMAT === 'text'
              ? { transport: { target: 'pino-pretty', options: { singleLine: true } } }
              : {}),
          },
        }),
      ],
    };
  }
}
