import { type DynamicModule, Global, Module } from '@nestjs/common';
import type { Env } from '../config/env.schema.js';
import { HttpMetrics } from './metrics-http.js';
import { ProcessMetrics } from './metrics-process.js';
import { MetricsController, PublicMetricsController } from './metrics.controller.js';
import { MetricsGauges } from './metrics.gauges.js';
import { Metrics } from './metrics.service.js';

/** Makes `Metrics` injectable everywhere. Import it once, at the root. */
@Global()
@Module({})
export class MetricsModule {
  static forRoot(env: Env): DynamicModule {
    return {
      module: MetricsModule,
      controllers: [env.METRICS_PUBLIC ? PublicMetricsController : MetricsController],
      providers: [Metrics, MetricsGauges, HttpMetrics, ProcessMetrics],
      exports: [Metrics],
    };
  }
}
