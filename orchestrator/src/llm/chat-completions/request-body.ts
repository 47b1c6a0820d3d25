/** LlmRequest → the body of POST /chat/completions. Pure. Only what was asked for is sent. */
import type { LlmRequest, LlmTool, LlmToolChoice } from '../llm.js';
import { type ChatMessage, toChatMessages } from './messages.js';

export interface BodySettings {
  /** Name the endpoint knows the model by. */
  readonly upstream: string;
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens';
  readonly reasoningField?: 'reasoning_content' | 'reasoning' | undefined;
  /** Fields of the configuration; the request wins over them. */
  readonly defaults?: Readonly<Record<string, unknown>> | undefined;
}

export interface ChatBody extends Readonly<Record<string, unknown>> {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream: true;
}

type Schema = Readonly<Record<string, unknown>>;

const isSchema = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether every object of a schema is closed and requires all it has, which strict mode insists on. */
function isStrictSchema(schema: unknown): boolean {
  if (Array.isArray(schema)) return schema.every(isStrictSchema);
  if (!isSchema(schema)) return true;
  const properties = schema['properties'];
  if (schema['type'] === 'object' || isSchema(properties)) {
    const required: unknown = schema['required'];
    const names = Object.keys(isSchema(properties) ? properties : {});
    const all = names.every((name) => Array.isArray(required) && required.includes(name));
    if (schema['additionalProperties'] !== false || !all) return false;
  }
  return Object.entries(schema).every(([key, value]) =>
    key === 'enum' || key === 'const' || key === 'required'
      ? true
      : key === 'properties' && isSchema(value)
        ? Object.values(value).every(isStrictSchema)
        : isStrictSchema(value),
  );
}

const toChatTool = (tool: LlmTool) => ({
  type: 'function',
  function: {
    name: tool.name,
    description: tool.description,
    parameters: tool.parameters,
    // Strict is the default of the Responses API, also for schemas that do not qualify.
    ...(tool.strict === true && isStrictSchema(tool.parameters) ? { strict: true } : {}),
  },
});

function toChatChoice(choice: LlmToolChoice): unknown {
  if (choice.type === 'tool') return { type: 'function', function: { name: choice.name } };
  // `auto` is the default everywhere, and some servers know no other word.
  return choice.type === 'auto' ? undefined : choice.type;
}

/** Tools are left out when none may be called, unless the conversation has calls that they explain. */
function toolFields(request: LlmRequest): Record<string, unknown> {
  const { tools, toolChoice, messages } = request;
  const called = messages.some((message) => message.role === 'assistant' && message.toolCalls.length > 0);
  if (tools.length === 0 || (toolChoice.type === 'none' && !called)) return {};
  return {
    tools: tools.map(toChatTool),
    tool_choice: toChatChoice(toolChoice),
    // True is the default, and some models refuse the field.
    parallel_tool_calls: request.parallelToolCalls ? undefined : false,
  };
}

function toResponseFormat(format: Readonly<Record<string, unknown>> | undefined): unknown {
  if (format?.['type'] !== 'json_schema') return format;
  const { name, schema, strict, description } = format;
  return { type: 'json_schema', json_schema: { name, description, schema, strict } };
}

const defined = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));

export function toBody(request: LlmRequest, settings: BodySettings): ChatBody {
  const asked = defined({
    ...toolFields(request),
    temperature: request.temperature,
    top_p: request.topP,
    [settings.maxTokensField]: request.maxOutputTokens,
    response_format: toResponseFormat(request.format),
    reasoning_effort: request.reasoningEffort,
    verbosity: request.verbosity,
    logprobs: request.topLogprobs === undefined ? undefined : true,
    // Zero is the default, and some servers refuse it.
    top_logprobs: request.topLogprobs || undefined,
    user: request.user,
  });
  return {
    ...settings.defaults,
    ...asked,
    model: settings.upstream,
    messages: toChatMessages(request.messages, settings.reasoningField),
    stream: true,
    stream_options: { include_usage: true },
  };
}
