/** POST /responses/compact: the user's messages stay, a summary by the model stands for all the rest. */
import { Injectable } from '@nestjs/common';
import { ApiError, type ErrorCode } from '../../common/api-error.js';
import { newId } from '../../common/ids.js';
import { toUnix } from '../../common/time.js';
import { LlmError, type LlmEvent, type LlmMessage, type LlmRequest, type LlmUsage } from '../../llm/llm.js';
import { type Model, ModelRegistry } from '../../llm/model.registry.js';
import { ContextService, type Gathered } from '../context/context.service.js';
import { checkFits } from '../context/context-window.js';
import { InlineContents } from '../context/inline-contents.js';
import { PromptWriter } from '../context/prompt-writer.js';
import { pythonTool } from '../context/python-prompt.js';
import { unknownModel } from '../context/unknown-model.js';
import { UsageMeter } from '../run/usage.js';
import type { CompactedResponse, CompactRequest } from './compact.schema.js';
import { CompactionSeal } from '../context/compaction-seal.js';

const ASK = `The conversation above will be replaced by a summary that you write now; only the user's own messages are kept beside it. Write down, for yourself, everything that is needed to go on as if nothing had been lost:
- what the user wants, and which instructions and preferences hold;
- what was done, with the results: numbers, findings, decisions, errors that were met and how they were solved;
- which files in /mnt/data exist and what they hold, and which variables the Python session has;
- answers of functions that are still of use;
- what is left to do.
Do not address the user, do not ask, do not call tools. Write only the summary.`;

const ERROR_CODES: Readonly<Record<LlmError['code'], ErrorCode>> = {
  unavailable: 'model_failed',
  protocol: 'model_failed',
  rejected: 'model_failed',
  rate_limited: 'rate_limit_exceeded',
  context_length_exceeded: 'context_length_exceeded',
};

const toApiError = (error: LlmError): ApiError =>
  new ApiError(ERROR_CODES[error.code], error.message, {
    param: error.code === 'context_length_exceeded' ? 'input' : null,
    cause: error,
  });

interface Summary {
  readonly text: string;
  readonly usage: LlmUsage | null;
}

async function collect(stream: AsyncIterable<LlmEvent>): Promise<Summary> {
  let text = '';
  for await (const event of stream) {
    if (event.type === 'text') text += event.delta;
    if (event.type !== 'finish') continue;
    if (event.reason !== 'stop' || text.trim() === '')
      throw new LlmError('protocol', 'The model did not write a summary.');
    return { text: text.trim(), usage: event.usage };
  }
  throw new LlmError('protocol', 'The model’s answer ended in the middle.');
}

@Injectable()
export class CompactService {
  constructor(
    private readonly models: ModelRegistry,
    private readonly context: ContextService,
    private readonly prompts: PromptWriter,
    private readonly seal: CompactionSeal,
    private readonly inline: InlineContents,
  ) {}

  /** `signal`: the caller went away. */
  async compact(projectId: string, request: CompactRequest, signal: AbortSignal): Promise<CompactedResponse> {
    const model = await this.model(request.model);
    const gathered = await this.context.gather(projectId, request);
    if (gathered.items.length === 0)
      throw new ApiError('missing_required_parameter', "Missing required parameter: 'input'.", {
        param: 'input',
      });
    const prompt = await this.prompts.write(projectId, request, gathered, {
      container: null,
      vision: model.vision,
    });
    const { text, usage } = await this.summarise(model, prompt.messages, signal);
    const meter = new UsageMeter();
    meter.add(usage);
    return {
      id: newId.response(),
      object: 'response.compaction',
      created_at: toUnix(new Date()),
      output: [...(await this.userMessages(gathered)), this.item(projectId, gathered, text)],
      usage: meter.total(),
    };
  }

  private async userMessages({ items }: Gathered) {
    const messages = [];
    for (const item of items) {
      if (item.type !== 'message' || item.role !== 'user') continue;
      const whole = await this.inline.restore(item);
      messages.push({ ...whole, id: item.id ?? newId.message(), status: 'completed' });
    }
    return messages;
  }

  private async model(id: string): Promise<Model> {
    const model = await this.models.find(id);
    if (!model) throw unknownModel(id);
    if (model.speaks) return model;
    throw new ApiError(
      'unsupported_value',
      `The model '${id}' runs programs and cannot write a summary. Name another model.`,
      { param: 'model' },
    );
  }

  private async summarise(
    model: Model,
    conversation: readonly LlmMessage[],
    signal: AbortSignal,
  ): Promise<Summary> {
    const messages: LlmMessage[] = [...conversation, { role: 'user', parts: [{ type: 'text', text: ASK }] }];
    const tools = model.tools ? [pythonTool] : [];
    const { contextTokens } = model;
    await checkFits(messages, { model: model.id, contextTokens, outputTokens: 0, tools });
    const request: LlmRequest = {
      model: model.id,
      messages,
      tools,
      toolChoice: { type: 'none' },
      parallelToolCalls: true,
    };
    try {
      return await collect(model.llm.stream(request, signal));
    } catch (error) {
      throw error instanceof LlmError ? toApiError(error) : error;
    }
  }

  private item(projectId: string, gathered: Gathered, summary: string) {
    const containers = this.context.containersOf(gathered);
    return {
      id: newId.compaction(),
      type: 'compaction',
      encrypted_content: this.seal.close(projectId, { summary, containers }),
    };
  }
}
