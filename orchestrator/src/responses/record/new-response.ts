/** The Response object as it is before anything happened (docs/contract/responses.md). */
import { toUnix } from '../../common/time.js';
import type { CreateResponseRequest } from '../response.schema.js';
import type { ResponseObject } from '../response.types.js';
import type { CodeInterpreterTool } from '../tool.schema.js';

/** Tools as they are echoed: as sent, functions with their defaults filled in. */
function echoTools(tools: CreateResponseRequest['tools']): unknown[] {
  return (tools ?? []).map((tool) => {
    if (tool.type !== 'function') return echoInterpreter(tool);
    const { type, name, description, parameters, strict, allowed_callers, defer_loading, output_schema } =
      tool;
    return {
      type,
      description: description ?? null,
      name,
      parameters: parameters ?? null,
      strict: strict ?? true,
      ...withoutUndefined({ allowed_callers, defer_loading, output_schema }),
    };
  });
}

const echoInterpreter = (tool: CodeInterpreterTool): unknown => ({
  ...withoutUndefined(tool),
  container: typeof tool.container === 'string' ? tool.container : withoutUndefined(tool.container),
});

/** JSON drops undefined by itself; this keeps records and streams alike. Of the object itself, not below. */
const withoutUndefined = (value: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined));

export function newResponse(id: string, request: CreateResponseRequest, createdAt: Date): ResponseObject {
  const conversation =
    typeof request.conversation === 'string' ? { id: request.conversation } : request.conversation;
  return {
    id,
    object: 'response',
    created_at: toUnix(createdAt),
    status: request.background ? 'queued' : 'in_progress',
    background: request.background ?? false,
    completed_at: null,
    error: null,
    incomplete_details: null,
    instructions: request.instructions ?? null,
    max_output_tokens: request.max_output_tokens ?? null,
    max_tool_calls: request.max_tool_calls ?? null,
    model: request.model,
    output: [],
    parallel_tool_calls: request.parallel_tool_calls ?? true,
    previous_response_id: request.previous_response_id ?? null,
    ...(conversation ? { conversation } : {}),
    prompt_cache_key: request.prompt_cache_key ?? null,
    prompt_cache_retention: request.prompt_cache_retention ?? null,
    reasoning: {
      effort: request.reasoning?.effort ?? null,
      summary: request.reasoning?.summary ?? request.reasoning?.generate_summary ?? null,
    },
    safety_identifier: request.safety_identifier ?? null,
    service_tier: request.service_tier ?? 'auto',
    store: request.store ?? true,
    temperature: request.temperature ?? 1,
    top_p: request.top_p ?? 1,
    top_logprobs: request.top_logprobs ?? 0,
    frequency_penalty: 0,
    presence_penalty: 0,
    text: {
      format: withoutUndefined(request.text?.format ?? { type: 'text' }),
      verbosity: request.text?.verbosity ?? 'medium',
    },
    tool_choice: request.tool_choice ?? 'auto',
    tools: echoTools(request.tools),
    truncation: request.truncation ?? 'disabled',
    usage: null,
    user: request.user ?? null,
    metadata: request.metadata ?? {},
    moderation: null,
    access_programs: null,
  };
}
