/** `GET /metrics`, for Prometheus. Who may read it is decided by configuration, so there are two. */
import { Controller, Get, Res } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiProduces, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { AdminOnly, Public } from '../auth/caller.js';
import { Metrics } from './metrics.service.js';

async function sendMetrics(metrics: Metrics, reply: FastifyReply): Promise<string> {
  void reply.type(metrics.registry.contentType);
  return metrics.text();
}

@ApiTags('Health')
@ApiBearerAuth()
@Controller('metrics')
export class MetricsController {
  constructor(private readonly metrics: Metrics) {}

  @Get()
  @AdminOnly()
  @ApiOperation({ summary: 'Metrics in Prometheus’ text format; needs the admin key' })
  @ApiProduces('text/plain')
  @ApiResponse({ status: 200, schema: { type: 'string' } })
  retrieve(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    return sendMetrics(this.metrics, reply);
  }
}

@ApiTags('Health')
@Controller('metrics')
export class PublicMetricsController {
  constructor(private readonly metrics: Metrics) {}

  @Get()
  @Public()
  @ApiOperation({ summary: 'Metrics in Prometheus’ text format' })
  @ApiProduces('text/plain')
  @ApiResponse({ status: 200, schema: { type: 'string' } })
  retrieve(@Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    return sendMetrics(this.metrics, reply);
  }
}
