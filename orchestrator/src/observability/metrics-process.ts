/** How the one process feels: whether its event loop keeps up, and what memory it holds. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { Metrics, PREFIX } from './metrics.service.js';

/** Milliseconds between two looks at the event loop; a look that is on time counts as no delay. */
const RESOLUTION_MS = 10;
const QUANTILES = [50, 99] as const;

@Injectable()
export class ProcessMetrics implements OnApplicationShutdown {
  private readonly delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor({ registry }: Metrics) {
    this.delays.enable();
    const { delays } = this;
    new Gauge({
      name: `${PREFIX}event_loop_delay_seconds`,
      help: 'How late the event loop was since the last time this was asked for; quantile 1 is the worst.',
      labelNames: ['quantile'],
      registers: [registry],
      collect(): void {
        for (const percent of QUANTILES)
          this.set({ quantile: String(percent / 100) }, secondsLate(delays.percentile(percent)));
        this.set({ quantile: '1' }, secondsLate(delays.max));
        delays.reset();
      },
    });
    new Gauge({
      name: `${PREFIX}memory_bytes`,
      help: 'Memory of the server process: all of it, its heap, and what lies outside the heap.',
      labelNames: ['kind'],
      registers: [registry],
      collect(): void {
        const { rss, heapUsed, heapTotal, external } = process.memoryUsage();
        for (const [kind, bytes] of Object.entries({
          resident: rss,
          heap_used: heapUsed,
          heap_total: heapTotal,
          external,
        }))
          this.set({ kind }, bytes);
      },
    });
  }

  onApplicationShutdown(): void {
    this.delays.disable();
  }
}

/** The histogram counts nanoseconds from look to look. An empty one has a maximum of 0. */
const secondsLate = (nanoseconds: number): number =>
  Number.isFinite(nanoseconds) ? Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1000) : 0;
