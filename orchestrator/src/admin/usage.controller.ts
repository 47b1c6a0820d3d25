import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { AdminOnly } from '../auth/caller.js';
import { type Page, pageOf } from '../common/pagination.js';
import {
  type ListUsageQuery,
  listUsageQuery,
  type UsageObject,
  type UsageQuery,
  usageQuery,
  usageSchema,
} from './admin.schema.js';
import { UsageService } from './usage.service.js';

@ApiTags('Admin: usage')
@ApiBearerAuth()
@AdminOnly()
@Controller('admin/v1')
export class UsageController {
  constructor(private readonly usage: UsageService) {}

  @Get('usage')
  @ApiOperation({ summary: 'Usage of every project' })
  @ApiResponse({ status: 200, standardSchema: pageOf(usageSchema) })
  list(@Query({ schema: listUsageQuery }) query: ListUsageQuery): Promise<Page<UsageObject>> {
    return this.usage.list(query);
  }

  @Get('projects/:project_id/usage')
  @ApiOperation({ summary: 'What a project holds now, and what it did in a period' })
  @ApiResponse({ status: 200, standardSchema: usageSchema })
  retrieve(
    @Param('project_id') id: string,
    @Query({ schema: usageQuery }) query: UsageQuery,
  ): Promise<UsageObject> {
    return this.usage.retrieve(id, query);
  }
}
