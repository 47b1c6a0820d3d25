import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '../auth/caller.js';
import { DatabaseReadiness } from '../database/readiness.js';
import { DrainService } from '../drain/drain.service.js';
import { SandboxDriver } from '../sandboxes/sandbox.driver.js';
import { type Liveness, livenessSchema, type Readiness, readinessSchema } from './health.schema.js';

/** `live` touches nothing; `ready` asks what requests depend on. */
@ApiTags('Health')
@Controller('health')
export class HealthController {
  constructor(
    private readonly database: DatabaseReadiness,
    private readonly driver: SandboxDriver,
    private readonly drain: DrainService,
  ) {}

  @Get('live')
  @Public()
  @ApiOperation({ summary: 'The process runs' })
  @ApiResponse({ status: 200, standardSchema: livenessSchema })
  live(): Liveness {
    return { status: 'ok' };
  }

  @Get('ready')
  @Public()
  @ApiOperation({ summary: 'Database and sandbox engine answer, and new work is taken' })
  @ApiResponse({ status: 200, standardSchema: readinessSchema })
  @ApiResponse({ status: 503, standardSchema: readinessSchema })
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<Readiness> {
    const [database, sandbox] = await Promise.all([this.database.check(), this.driver.check()]);
    const problems = [...(database.ready ? [] : [database.problem]), ...sandbox.problems];
    const ok = database.ready && sandbox.ok;
    const { isDraining } = this.drain;
    void reply.status(ok && !isDraining ? 200 : 503);
    return {
      status: isDraining ? 'draining' : ok ? 'ok' : 'unavailable',
      database: database.ready ? 'ok' : 'unavailable',
      sandbox: sandbox.ok ? 'ok' : 'unavailable',
      isolation: sandbox.isolation,
      problems,
    };
  }
}
