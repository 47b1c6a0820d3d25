/** POST /responses/input_tokens: what a request would send to the model, counted and not sent. */
import { Injectable } from '@nestjs/common';
import { ModelRegistry } from '../llm/model.registry.js';
import { countMessage, countText, countTools } from '../llm/token-counter.js';
import { ContextService } from './context/context.service.js';
import { PromptWriter, toLlmTool } from './context/prompt-writer.js';
import type { InputTokensRequest } from './input-tokens.schema.js';
import { unknownModel } from './context/unknown-model.js';

@Injectable()
export class InputTokensService {
  constructor(
    private readonly models: ModelRegistry,
    private readonly context: ContextService,
    private readonly prompts: PromptWriter,
  ) {}

  async count(projectId: string, request: InputTokensRequest): Promise<number> {
    const model = request.model === undefined ? undefined : await this.models.find(request.model);
    if (model === null) throw unknownModel(request.model ?? '');
    const gathered = await this.context.gather(projectId, request);
    const tools = request.tools ?? [];
    const prompt = await this.prompts.write(projectId, request, gathered, {
      container: null,
      python: tools.some(({ type }) => type === 'code_interpreter'),
      vision: model?.vision ?? true,
    });
    const counts = await Promise.all([
      ...prompt.messages.map(countMessage),
      countTools(tools.map(toLlmTool)),
      countText(request.text?.format?.type === 'json_schema' ? JSON.stringify(request.text.format) : ''),
    ]);
    return counts.reduce((sum, each) => sum + each, 0);
  }
}
