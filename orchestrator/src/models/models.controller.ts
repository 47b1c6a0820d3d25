import { Controller, Delete, Get, Param } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { ApiError, notFound } from '../common/api-error.js';
import { type Model, ModelRegistry } from '../llm/model.registry.js';
import { modelListSchema, type ModelObject, modelSchema } from './model.schema.js';

const present = (model: Model): ModelObject => ({
  id: model.id,
  object: 'model',
  created: model.createdAt,
  owned_by: model.ownedBy,
});

@ApiTags('Models')
@ApiBearerAuth()
@Controller('models')
export class ModelsController {
  constructor(private readonly models: ModelRegistry) {}

  @Get()
  @ApiOperation({ summary: 'List models' })
  @ApiResponse({ status: 200, standardSchema: modelListSchema })
  async list() {
    return { object: 'list' as const, data: (await this.models.list()).map(present) };
  }

  /** Ids may hold slashes, encoded or not, so the rest of the path is the id. */
  @Get('*')
  @ApiOperation({ summary: 'Retrieve a model' })
  @ApiResponse({ status: 200, standardSchema: modelSchema })
  async retrieve(@Param('*') id: string): Promise<ModelObject> {
    const model = await this.models.find(id);
    if (!model) throw notFound.model(id);
    return present(model);
  }

  @Delete('*')
  @ApiOperation({ summary: 'Refused: models are configured by the operator' })
  @ApiResponse({ status: 403, description: 'Always.' })
  delete(@Param('*') id: string): never {
    throw new ApiError(
      'permission_denied',
      `The model '${id}' is configured by the operator of this server and cannot be deleted here.`,
    );
  }
}
