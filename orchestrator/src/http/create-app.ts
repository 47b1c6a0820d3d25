/** Builds the HTTP application around the composition root; used by `main` and by tests. */
import multipart from '@fastify/multipart';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { Logger } from 'nestjs-pino';
import { Door } from '../auth/door.js';
import { ApiExceptionFilter } from '../common/exception.filter.js';
import { newId } from '../common/ids.js';
import { MULTIPART_PLUGIN_OPTIONS } from '../common/multipart.js';
import { WireValidationPipe } from '../common/validation.pipe.js';
import type { Env } from '../config/env.schema.js';
import { BodyParser } from './body-parser.js';
import { ConnectionWatch } from './connection-watch.js';
import { addHooks } from './hooks.js';
import { RouteTable } from './method-not-allowed.js';
import { setPrefix } from './prefix.js';
import { onClientError, onFrameworkError, watchExpectations } from './protocol-errors.js';
import { parseQuery } from './query-parser.js';

/** Milliseconds; long runs and slow uploads are legal, so only silent keep-alive connections are cut. */
const KEEP_ALIVE_MS = 75_000;
const HEADERS_MS = 60_000;
/** What a client in a browser may read. */
const EXPOSED_HEADERS = [
  'x-request-id',
  'openai-processing-ms',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'idempotent-replayed',
  'x-ratelimit-limit-requests',
  'x-ratelimit-remaining-requests',
  'x-ratelimit-reset-requests',
];

/** How many bytes and connections are in hand at the moment; metrics read it. */
export interface Edge {
  readonly watch: ConnectionWatch;
  readonly bodies: BodyParser;
}

declare module 'fastify' {
  interface FastifyInstance {
    edge: Edge;
  }
}

export async function createApp(root: DynamicModule, env: Env): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    genReqId: () => newId.request(),
    bodyLimit: env.MAX_BODY_BYTES,
    requestTimeout: 0,
    connectionTimeout: 0,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: 'idle',
    // Refused by a hook, in our envelope; Node's own refusal is empty.
    http: { requireHostHeader: false },
    clientErrorHandler: onClientError,
    frameworkErrors: onFrameworkError,
    routerOptions: { querystringParser: parseQuery, maxParamLength: 512, ignoreTrailingSlash: true },
  });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  fastify.server.headersTimeout = HEADERS_MS;
  fastify.server.maxConnections = env.MAX_CONNECTIONS;
  watchExpectations(fastify.server);
  const edge: Edge = {
    watch: new ConnectionWatch({ bodyMs: env.BODY_IDLE_MS, readerMs: env.READER_IDLE_MS }),
    bodies: new BodyParser({ maxBytes: env.MAX_BODY_BYTES, totalBytes: env.BODIES_TOTAL_BYTES }),
  };
  edge.watch.attach(fastify.server);
  fastify.decorate('edge', edge);
  const routes = new RouteTable();
  routes.watch(fastify);
  addHooks(fastify, { watch: edge.watch, routes, door: () => app.get(Door) });
  edge.bodies.install(fastify);
  const app = await NestFactory.create<NestFastifyApplication>(root, adapter, {
    bodyParser: false,
    bufferLogs: true,
  });
  try {
    await configure(app, env, routes);
    await fastify.ready();
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}

/** Everything that makes the application ours; it is closed again when a part of it fails. */
async function configure(app: NestFastifyApplication, env: Env, routes: RouteTable): Promise<void> {
  app.useLogger(app.get(Logger));
  app.useGlobalFilters(new ApiExceptionFilter((method, path) => routes.missing(method, path)));
  app.useGlobalPipes(new WireValidationPipe());
  setPrefix(app, env.API_PREFIX);
  app.enableCors({
    origin: '*',
    methods: ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'],
    exposedHeaders: EXPOSED_HEADERS,
  });
  await app.register(multipart as never, MULTIPART_PLUGIN_OPTIONS as never);
  await app.init();
}
