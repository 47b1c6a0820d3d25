import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { Metrics } from './metrics.service.js';

/** Requests that no route takes share one label, or strangers could make up any number of them. */
const UNMATCHED = 'unmatched';

/** Times every request, also those that guards, parsers or the router refuse. */
@Injectable()
export class HttpMetrics {
  /** Hooks must be there before the routes are, so they are added while the application is put together. */
  constructor(host: HttpAdapterHost, metrics: Metrics) {
    const fastify = host.httpAdapter.getInstance<FastifyInstance>();
    fastify.addHook('onResponse', (request, reply, done) => {
      metrics.requestFinished({
        method: request.method,
        route: request.routeOptions.url ?? UNMATCHED,
        status: reply.statusCode,
        seconds: reply.elapsedTime / 1000,
      });
      done();
    });
  }
}
