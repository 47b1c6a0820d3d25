/** One line per operation, secrets cut out where they would enter (contract of docs/security.md). */
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

@Module({})
export class LoggingModule {
  static forRoot(env: Env): DynamicModule {
    return {
      module: LoggingModule,
      imports: [
        LoggerModule.forRoot({
          pinoHttp: {
            level: env.LOG_LEVEL,
            redact: { paths: REDACT, censor: '[redacted]' },
            autoLogging: { ignore: (request) => request.url?.startsWith('/health') ?? false },
            customLogLevel: (_request, reply, error) =>
              error || reply.statusCode >= 500 ? 'error' : 'debug',
            serializers: {
              req: (request: { id: string; method: string; url: string }) => ({
                id: request.id,
                method: request.method,
                url: request.url.split('?')[0],
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
