/** Everything between an accepted request and a run that may begin: model, tools, container, context. */
import { Inject, Injectable } from '@nestjs/common';
import { ApiError } from '../../common/api-error.js';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { type ContainerFileRow, ContainerFilesService } from '../../containers/container-files.service.js';
import { ContainersService } from '../../containers/containers.service.js';
import { ExecutionService } from '../../containers/execution.service.js';
import type { LlmMessage, LlmTool } from '../../llm/llm.js';
import { type Model, ModelRegistry } from '../../llm/model.registry.js';
import type { BlobWriter } from '../../storage/blobs.service.js';
import { ResponseContainer } from '../container/response-container.js';
import { ContextService, type Gathered } from '../context/context.service.js';
import { checkFits, Fit, outputReserve } from '../context/context-window.js';
import { InlineContents } from '../context/inline-contents.js';
import { PromptWriter, toLlmTool } from '../context/prompt-writer.js';
import { ResponsePresenter } from '../response.presenter.js';
import type { CreateResponseRequest } from '../response.schema.js';
import { ResponseRun, type Resumed } from './response-run.js';
import { isAllowed } from './tool-choice.js';
import type { CodeInterpreterTool, Tool } from '../tool.schema.js';
import { unknownModel } from '../context/unknown-model.js';
import type { StoredItem } from '../input.schema.js';

export interface PreparedRun {
  /** The request's own input as it is to be stored. */
  readonly input: readonly StoredItem[];
  /** `files`: what an earlier attempt made, for it to be cited. */
  readonly start: (
    responseId: string,
    signal: AbortSignal,
    resumed?: Resumed,
    files?: readonly ContainerFileRow[],
  ) => ResponseRun;
}

/** What a run takes up from an earlier process. */
export interface EarlierAttempt {
  /** Input as it was stored, references resolved. */
  readonly input: readonly StoredItem[];
  /** Containers that attempt used, newest first. */
  readonly containers: readonly string[];
}

type Settings = Omit<CreateResponseRequest, 'input'>;

export interface PrepareOptions {
  readonly attempt?: EarlierAttempt | undefined;
  /** Large content inside the input goes there; set when the input is about to be stored. */
  readonly writer?: BlobWriter | undefined;
}

@Injectable()
export class RunFactory {
  constructor(
    private readonly models: ModelRegistry,
    private readonly context: ContextService,
    private readonly prompts: PromptWriter,
    private readonly containers: ContainersService,
    private readonly containerFiles: ContainerFilesService,
    private readonly executions: ExecutionService,
    private readonly presenter: ResponsePresenter,
    private readonly inline: InlineContents,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /** Whether the model is there and can do what is asked; reads and changes nothing. */
  async check(request: CreateResponseRequest): Promise<Model> {
    const model = await this.models.find(request.model);
    if (!model) throw unknownModel(request.model);
    this.checkTools(request.tools ?? [], request.tool_choice, model);
    return model;
  }

  /** Rejects with what the request got wrong; nothing has been answered yet. */
  async prepare(
    projectId: string,
    request: CreateResponseRequest,
    model: Model,
    { attempt, writer }: PrepareOptions = {},
  ): Promise<PreparedRun> {
    const tools = request.tools ?? [];
    const asked = await this.context.gather(projectId, request, attempt?.input);
    const container = this.container(projectId, tools, [
      ...(attempt?.containers ?? []),
      ...this.context.containersOf(asked),
    ]);
    await container?.prepare();
    const gathered = writer ? await this.keepInline(writer, asked) : asked;
    const prompt = await this.prompts.write(projectId, request, gathered, {
      container,
      vision: model.vision,
    });
    const llmTools = tools.filter((tool) => isAllowed(request.tool_choice, tool)).map(toLlmTool);
    const window = {
      model: model.id,
      contextTokens: model.contextTokens,
      outputTokens: outputReserve(model.contextTokens, request.max_output_tokens),
      tools: llmTools,
    };
    const fit = request.truncation === 'auto' ? new Fit(window, prompt.hasSystemText) : null;
    const messages = fit ? await fit.truncate(prompt.messages) : prompt.messages;
    if (!fit) await checkFits(messages, window);
    // A run may be long, and what it was asked for may be large.
    const { input: _, ...settings } = request;
    return {
      input: gathered.input,
      start: (responseId, signal, resumed, files = []) => {
        container?.note([], files);
        return this.run({
          responseId,
          signal,
          resumed: resumed ?? null,
          model,
          request: settings,
          messages,
          tools: llmTools,
          fit,
          container,
        });
      },
    };
  }

  private async keepInline(writer: BlobWriter, gathered: Gathered): Promise<Gathered> {
    const input = await this.inline.keep(writer, gathered.input);
    const earlier = gathered.items.slice(0, gathered.items.length - input.length);
    return { ...gathered, input, items: [...earlier, ...input] };
  }

  private checkTools(tools: readonly Tool[], choice: unknown, model: Model): void {
    const interpreters = tools.flatMap((tool, index) => (tool.type === 'code_interpreter' ? [index] : []));
    if (interpreters.length > 1) {
      throw new ApiError('invalid_value', "Only one 'code_interpreter' tool is allowed in a request.", {
        param: `tools[${interpreters[1]}]`,
      });
    }
    if (tools.length > 0 && !model.tools) {
      throw new ApiError(
        'unsupported_value',
        `The model '${model.id}' cannot call tools. Choose another model or send no tools.`,
        { param: 'tools' },
      );
    }
    const wanted = namedTools(choice);
    const missing = wanted.find(
      (each) =>
        !tools.some(
          (tool) =>
            tool.type === each.type &&
            (each.name === undefined || (tool.type === 'function' && tool.name === each.name)),
        ),
    );
    if (missing) {
      throw new ApiError(
        'invalid_value',
        `Tool choice '${missing.name ?? missing.type}' not found in 'tools' parameter.`,
        { param: 'tool_choice' },
      );
    }
  }

  private container(
    projectId: string,
    tools: readonly Tool[],
    earlier: readonly string[],
  ): ResponseContainer | null {
    const index = tools.findIndex((tool) => tool.type === 'code_interpreter');
    if (index < 0) return null;
    return new ResponseContainer(this.containers, this.containerFiles, {
      projectId,
      tool: tools[index] as CodeInterpreterTool,
      param: `tools[${index}]`,
      earlier,
      idleMinutes: this.env.CONTAINER_IDLE_MINUTES,
    });
  }

  private run(parts: {
    responseId: string;
    signal: AbortSignal;
    resumed: Resumed | null;
    model: Model;
    request: Settings;
    messages: readonly LlmMessage[];
    tools: readonly LlmTool[];
    fit: Fit | null;
    container: ResponseContainer | null;
  }): ResponseRun {
    const { request, model, messages, tools, fit } = parts;
    return new ResponseRun({
      responseId: parts.responseId,
      signal: parts.signal,
      resumed: parts.resumed,
      model,
      background: request.background ?? false,
      base: {
        model: model.id,
        parallelToolCalls: request.parallel_tool_calls ?? true,
        temperature: request.temperature,
        topP: request.top_p,
        maxOutputTokens: request.max_output_tokens,
        topLogprobs: asksLogprobs(request) ? (request.top_logprobs ?? 0) : undefined,
        reasoningEffort: request.reasoning?.effort,
        verbosity: request.text?.verbosity,
        format: request.text?.format?.type === 'text' ? undefined : request.text?.format,
        user: request.safety_identifier ?? request.user,
      },
      messages,
      tools,
      fit,
      toolChoice: request.tool_choice,
      maxToolCalls: request.max_tool_calls ?? null,
      reasoningAsSummary: (request.reasoning?.summary ?? request.reasoning?.generate_summary) !== undefined,
      container: parts.container,
      executions: this.executions,
      imageUrl: model.vision ? this.presenter.figuresForModel() : null,
    });
  }
}

/** Only what can be seen is asked for (docs/contract/responses.md). */
const asksLogprobs = (request: Settings): boolean =>
  (request.include ?? []).includes('message.output_text.logprobs');

/** The tools that `tool_choice` names and that must therefore be in `tools`. */
function namedTools(choice: unknown): { type: string; name?: string | undefined }[] {
  if (typeof choice !== 'object' || choice === null) return [];
  const asked = choice as { type: string; name?: string; tools?: { type: string; name?: string }[] };
  if (asked.type === 'allowed_tools') return asked.tools ?? [];
  return [asked.type === 'function' ? { type: 'function', name: asked.name } : { type: asked.type }];
}
