/** What a model is told at the beginning: the system text, then the conversation. */
import { Injectable } from '@nestjs/common';
import type { LlmMessage, LlmTool } from '../../llm/llm.js';
import type { Tool } from '../tool.schema.js';
import type { ResponseContainer } from '../container/response-container.js';
import type { Gathered } from './context.service.js';
import { InputFiles } from './input-files.js';
import { toMessages } from './messages.js';
import { instructionsMessage, pythonTool } from './python-prompt.js';

export interface Prompt {
  readonly messages: readonly LlmMessage[];
  /** The first message is our system text, with the request's instructions. */
  readonly hasSystemText: boolean;
}

export interface PromptOptions {
  /** Files of the conversation are put there; null leaves them where they are. */
  readonly container: ResponseContainer | null;
  /** The model is to know of the python tool; by default it is when there is a container. */
  readonly python?: boolean;
  readonly vision: boolean;
}

@Injectable()
export class PromptWriter {
  constructor(private readonly inputFiles: InputFiles) {}

  /** Called before a run, and to count or compact what a run would be told. */
  async write(
    projectId: string,
    request: { readonly instructions?: string | undefined },
    gathered: Gathered,
    { container, vision, python = container !== null }: PromptOptions,
  ): Promise<Prompt> {
    const own = gathered.items.length - gathered.input.length;
    const notes = await this.inputFiles.place(projectId, { items: gathered.items, own }, container, vision);
    const paths = container?.exists ? (await container.linkableFiles()).map((file) => file.path) : [];
    const replaced = (container?.replacedWith ?? null) !== null;
    const system = instructionsMessage(request.instructions, python ? { paths, replaced } : null);
    const { compactions } = gathered;
    const summaryOf = (item: Parameters<typeof compactions.get>[0]) => compactions.get(item)?.summary ?? '';
    const messages = [...system, ...toMessages(gathered.items, { ...notes, summaryOf })];
    return { messages, hasSystemText: system.length > 0 };
  }
}

export const toLlmTool = (tool: Tool): LlmTool =>
  tool.type === 'code_interpreter'
    ? pythonTool
    : {
        name: tool.name,
        description: tool.description ?? '',
        parameters: tool.parameters ?? { type: 'object', properties: {} },
        strict: tool.strict ?? true,
      };
