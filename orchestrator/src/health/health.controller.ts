import { Controller, Get, Res } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '../auth/caller.js';
import { DatabaseReadiness } from '../database/readiness.js';
import { DrainService } from '../drain/drain.service.js';
import { SandboxDriver } from '../sandboxes/sandbox.driver.js';
import { type DiskState, DiskSpace } from '../storage/disk-space.js';
import { formatBytes } from '../common/memory-size.js';
import { type Liveness, livenessSchema, type Readiness, readinessSchema } from './health.schema.js';

/** Milliseconds an answer stays good: anybody may ask, and each look costs the engine and the database some work. */
const LOOK_MS = 1_000;

type Look = Awaited<ReturnType<HealthController['look']>>;

const lowDisk = ({ freeBytes, floorBytes }: DiskState): string =>
  `The disk has ${formatBytes(freeBytes)} free, less than DISK_FLOOR_BYTES (${formatBytes(floorBytes)}): nothing is ` +
  'stored until files or containers are deleted or the disk gets room. Reading, deleting and running code go on.';

/** `live` touches nothing; `ready` asks what requests depend on, at most once a second. */
@ApiTags('Health')
@Controller('health')
export class HealthController {
  private last: { readonly look: Promise<Look>; readonly untilMs: number } | undefined;

  constructor(
    private readonly database: DatabaseReadiness,
    private readonly driver: SandboxDriver,
    private readonly drain: DrainService,
    private readonly disk: DiskSpace,
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
    const [database, sandbox, disk] = await this.recentLook();
    const problems = [
      ...(database.ready ? [] : [database.problem]),
      ...sandbox.problems,
      ...(disk.isLow ? [lowDisk(disk)] : []),
    ];
    const ok = database.ready && sandbox.ok;
    const { isDraining } = this.drain;
    void reply.status(ok && !isDraining ? 200 : 503);
    return {
      status: isDraining ? 'draining' : ok ? 'ok' : 'unavailable',
      database: database.ready ? 'ok' : 'unavailable',
      sandbox: sandbox.ok ? 'ok' : 'unavailable',
      storage: disk.isLow ? 'full' : 'ok',
      isolation: sandbox.isolation,
      problems,
    };
  }

  /** One look for all who ask while it lasts, and for a second after it. */
  private recentLook(): Promise<Look> {
    if (this.last && performance.now() < this.last.untilMs) return this.last.look;
    const look = this.look();
    const last = { look, untilMs: Number.POSITIVE_INFINITY };
    this.last = last;
    look.then(
      () => (last.untilMs = performance.now() + LOOK_MS),
      () => (this.last = undefined),
    );
    return look;
  }

  private look() {
    return Promise.all([this.database.check(), this.driver.check(), this.disk.state()]);
  }
}
