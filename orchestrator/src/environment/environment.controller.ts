import { Controller, Get } from '@nestjs/common';
import { ApiBearerAuth, ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { type EnvironmentObject, environmentSchema } from './environment.schema.js';
import { EnvironmentService } from './environment.service.js';

@ApiTags('Environment (extension)')
@ApiBearerAuth()
@Controller('environment')
export class EnvironmentController {
  constructor(private readonly environment: EnvironmentService) {}

  @Get()
  @ApiOperation({ summary: 'Python version and packages of the containers' })
  @ApiResponse({ status: 200, standardSchema: environmentSchema })
  retrieve(): Promise<EnvironmentObject> {
    return this.environment.get();
  }
}
