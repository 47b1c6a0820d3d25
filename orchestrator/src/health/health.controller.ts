import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '../auth/caller.js';
import { DatabaseReadiness } from '../database/readiness.js';
import { SandboxDriver } from '../sandboxes/sandbox.driver.js';

/** `live` touches nothing; `ready` asks what requests depend on. */
@ApiTags('Health')
@Controller('health')
export class HealthController {
  constructor(
    private readonly database: DatabaseReadiness,
    private readonly driver: SandboxDriver,
  ) {}

  @Get('live')
  @Public()
  @ApiOperation({ summary: 'The process runs' })
  live() {
    return { status: 'ok' };
  }

  @Get('ready')
  @Public()
  @ApiOperation({ summary: 'Database and sandbox engine answer' })
  async ready(@Res({ passthrough: true }) reply: FastifyReply) {
    const [database, sandbox] = await Promise.all([this.database.check(), this.driver.check()]);
    const problems = [...(database.ready ? [] : [database.problem]), ...sandbox.problems];
    const ok = database.ready && sandbox.ok;
    void reply.status(ok ? 200 : 503);
    return {
      status: ok ? 'ok' : 'unavailable',
      database: database.ready ? 'ok' : 'unavailable',
      sandbox: sandbox.ok ? 'ok' : 'unavailable',
      isolation: sandbox.isolation,
      problems,
    };
  }
}
