import { Controller, Delete, Get, Param, Query } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { AdminOnly } from '../auth/caller.js';
import { type Page, pageOf } from '../common/pagination.js';
import {
  type AdminContainerObject,
  adminContainerSchema,
  type AdminExecutionObject,
  adminExecutionSchema,
  deletedContainerSchema,
  type ExecutionQuery,
  executionQuery,
  type ListContainersQuery,
  listContainersQuery,
  type ListExecutionsQuery,
  listExecutionsQuery,
} from './admin.schema.js';
import { InventoryService } from './inventory.service.js';

@ApiTags('Admin: containers and executions')
@ApiBearerAuth()
@AdminOnly()
@Controller('admin/v1')
export class InventoryController {
  constructor(private readonly inventory: InventoryService) {}

  @Get('containers')
  @ApiOperation({ summary: 'List containers of all projects' })
  @ApiResponse({ status: 200, standardSchema: pageOf(adminContainerSchema) })
  listContainers(
    @Query({ schema: listContainersQuery }) query: ListContainersQuery,
  ): Promise<Page<AdminContainerObject>> {
    return this.inventory.listContainers(query);
  }

  @Get('containers/:container_id')
  @ApiOperation({ summary: 'Retrieve a container of any project; does not keep it from expiring' })
  @ApiResponse({ status: 200, standardSchema: adminContainerSchema })
  retrieveContainer(@Param('container_id') id: string): Promise<AdminContainerObject> {
    return this.inventory.retrieveContainer(id);
  }

  @Delete('containers/:container_id')
  @ApiOperation({ summary: 'Delete a container of any project, running code included' })
  @ApiResponse({ status: 200, standardSchema: deletedContainerSchema })
  async deleteContainer(@Param('container_id') id: string) {
    await this.inventory.deleteContainer(id);
    return { id, object: 'container.deleted' as const, deleted: true as const };
  }

  @Get('executions')
  @ApiOperation({ summary: 'List executions of all projects; what was run only with include=code' })
  @ApiResponse({ status: 200, standardSchema: pageOf(adminExecutionSchema) })
  listExecutions(
    @Query({ schema: listExecutionsQuery }) query: ListExecutionsQuery,
  ): Promise<Page<AdminExecutionObject>> {
    return this.inventory.listExecutions(query);
  }

  @Get('executions/:execution_id')
  @ApiOperation({ summary: 'Retrieve an execution of any project' })
  @ApiResponse({ status: 200, standardSchema: adminExecutionSchema })
  retrieveExecution(
    @Param('execution_id') id: string,
    @Query({ schema: executionQuery }) query: ExecutionQuery,
  ): Promise<AdminExecutionObject> {
    return this.inventory.retrieveExecution(id, query);
  }
}
