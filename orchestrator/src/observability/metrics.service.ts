/** What the server counts while it works. No label ever holds anything of a tenant. */
import { Injectable } from '@nestjs/common';
import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

export const PREFIX = 'code_interpreter_';

/** Seconds. Requests may run code, so the range is wide. */
const REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 1, 2.5, 10, 30, 120, 600];
const EXECUTION_BUCKETS = [0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 120, 600, 3600];
const WEBHOOK_BUCKETS = [0.01, 0.05, 0.25, 1, 2.5, 5, 10];

export interface FinishedRequest {
  readonly method: string;
  /** Pattern of the route, never a path: paths hold ids. */
  readonly route: string;
  readonly status: number;
  readonly seconds: number;
}

@Injectable()
export class Metrics {
  readonly registry = new Registry();

  private readonly requests = new Histogram({
    name: `${PREFIX}http_request_duration_seconds`,
    help: 'Time from the head of a request to the last byte of its reply.',
    labelNames: ['method', 'route', 'status'],
    buckets: REQUEST_BUCKETS,
    registers: [this.registry],
  });
  private readonly executions = new Counter({
    name: `${PREFIX}executions_total`,
    help: 'Executions that ended, by status.',
    labelNames: ['status'],
    registers: [this.registry],
  });
  private readonly executionSeconds = new Histogram({
    name: `${PREFIX}execution_duration_seconds`,
    help: 'Time code ran in a sandbox.',
    labelNames: ['status'],
    buckets: EXECUTION_BUCKETS,
    registers: [this.registry],
  });
  private readonly webhookTries = new Histogram({
    name: `${PREFIX}webhook_attempt_duration_seconds`,
    help: 'Time a receiver of a webhook took, by what came of it.',
    labelNames: ['outcome'],
    buckets: WEBHOOK_BUCKETS,
    registers: [this.registry],
  });
  private readonly webhookEnds = new Counter({
    name: `${PREFIX}webhook_deliveries_total`,
    help: 'Webhook deliveries that came to an end, by status.',
    labelNames: ['status'],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  requestFinished(request: FinishedRequest): void {
    const { method, route, status, seconds } = request;
    this.requests.observe({ method, route, status: String(status) }, seconds);
  }

  /** Called once for each execution; `durationMs` is null when it never reached a sandbox. */
  executionFinished(status: string, durationMs: number | null): void {
    this.executions.inc({ status });
    if (durationMs !== null) this.executionSeconds.observe({ status }, durationMs / 1000);
  }

  /** Called for each try to deliver an event. */
  webhookTried(outcome: string, durationMs: number): void {
    this.webhookTries.observe({ outcome }, durationMs / 1000);
  }

  /** Called once for each delivery that was made or given up. */
  webhookEnded(status: 'delivered' | 'failed'): void {
    this.webhookEnds.inc({ status });
  }

  /** Everything, in Prometheus' text format. */
  text(): Promise<string> {
    return this.registry.metrics();
  }
}
