import { Controller, Get, HttpCode, Post } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { AdminOnly } from '../auth/caller.js';
import { type Page, pageOf } from '../common/pagination.js';
import {
  type DrainObject,
  drainSchema,
  type PoolObject,
  poolSchema,
  type QueueObject,
  type SweepObject,
  sweepSchema,
  queueSchema,
} from './operations.schema.js';
import { OperationsService } from './operations.service.js';

@ApiTags('Admin: operations')
@ApiBearerAuth()
@AdminOnly()
@Controller('admin/v1')
export class OperationsController {
  constructor(private readonly operations: OperationsService) {}

  @Get('pool')
  @ApiOperation({ summary: 'Warm and bound sandboxes, and the memory they use' })
  @ApiResponse({ status: 200, standardSchema: poolSchema })
  pool(): Promise<PoolObject> {
    return this.operations.poolState();
  }

  @Get('queues')
  @ApiOperation({ summary: 'Jobs that wait, run or failed, by queue' })
  @ApiResponse({ status: 200, standardSchema: pageOf(queueSchema) })
  queues(): Promise<Page<QueueObject>> {
    return this.operations.queues();
  }

  @Post('sweep')
  @HttpCode(200)
  @ApiOperation({ summary: 'Clean up now: expired containers, lost sandboxes, old records, unused content' })
  @ApiResponse({ status: 200, standardSchema: sweepSchema })
  sweep(): Promise<SweepObject> {
    return this.operations.sweep();
  }

  @Get('drain')
  @ApiOperation({ summary: 'Whether new work is refused' })
  @ApiResponse({ status: 200, standardSchema: drainSchema })
  drainState(): Promise<DrainObject> {
    return this.operations.drainState();
  }

  @Post('drain')
  @HttpCode(200)
  @ApiOperation({ summary: 'Refuse new work, let running work end, empty the warm pool' })
  @ApiResponse({ status: 200, standardSchema: drainSchema })
  drain(): Promise<DrainObject> {
    return this.operations.drain();
  }

  @Post('resume')
  @HttpCode(200)
  @ApiOperation({ summary: 'Take new work again' })
  @ApiResponse({ status: 200, standardSchema: drainSchema })
  resume(): Promise<DrainObject> {
    return this.operations.resume();
  }
}
