import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance } from 'fastify';
import { Counter, Gauge } from 'prom-client';
import type { Edge } from '../http/create-app.js';
import { Metrics, PREFIX } from './metrics.service.js';

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
    this.addConnections(metrics, fastify.edge);
  }

  /** What the edge has in hand, read when somebody asks. */
  private addConnections({ registry }: Metrics, { watch, bodies }: Edge): void {
    new Gauge({
      name: `${PREFIX}connections_open`,
      help: 'Connections of clients.',
      registers: [registry],
      collect(): void {
        this.set(watch.open);
      },
    });
    new Gauge({
      name: `${PREFIX}json_bodies_bytes`,
      help: 'Bytes reserved for JSON bodies that are being read.',
      registers: [registry],
      collect(): void {
        this.set(bodies.budget.bytes);
      },
    });
    new Counter({
      name: `${PREFIX}connections_cut_total`,
      help: 'Connections cut off, by what the client had stopped doing.',
      labelNames: ['reason'],
      registers: [registry],
      collect(): void {
        this.reset();
        for (const [reason, count] of watch.cut) this.inc({ reason }, count);
      },
    });
  }
}
