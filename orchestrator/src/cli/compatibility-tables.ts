/**
 * What we do with each part of the API, one sentence each. The keys are those of the schemas and types, so
 * a field, item or event that is added there does not compile until it is told here (docs/compatibility.md).
 */
import type { Include } from '../responses/include.schema.js';
import type { InputItem } from '../responses/input.schema.js';
import type { CreateResponseRequest } from '../responses/response.schema.js';
import type { DraftEvent, ResponseObject } from '../responses/response.types.js';
import type { Tool } from '../responses/tool.schema.js';

/** `yes`: does what OpenAI's does. `no effect`: taken, and nothing follows from it. `ours`: an extension. */
export type Support = 'yes' | 'partly' | 'no effect' | 'refused' | 'ours';
export type Row = readonly [support: Support, note: string];
export type Table<Key extends string> = Readonly<Record<Key, Row>>;

type Message = Extract<InputItem, { type: 'message' }>;
type Part = Exclude<Message['content'], string>[number];

export const REQUEST: Table<keyof CreateResponseRequest> = {
  model: ['yes', 'Any model of [models.md](models.md), `python`, or `default`.'],
  input: ['yes', 'Text up to 10 485 760 characters, or up to 4,096 items (below).'],
  instructions: ['yes', 'For this turn only; not inherited through `previous_response_id`.'],
  tools: [
    'partly',
    '`code_interpreter` and `function`; at most 128. Others are refused with `invalid_value`.',
  ],
  tool_choice: [
    'yes',
    'All forms, for tools that are in `tools`. A forced tool is forced in the first turn only.',
  ],
  parallel_tool_calls: ['yes', '`false`: further calls of a turn are dropped, whatever the model did.'],
  max_tool_calls: ['yes', 'Counts runs of Python; then the tool is taken away and the model answers.'],
  max_output_tokens: ['yes', 'At least 16, over all turns; then `incomplete`.'],
  temperature: ['yes', 'Passed on to the model.'],
  top_p: ['yes', 'Passed on to the model.'],
  top_logprobs: [
    'yes',
    'Asked for, and shown, with `include: ["message.output_text.logprobs"]`, if the model server has them.',
  ],
  text: ['yes', '`format`: text, `json_object`, `json_schema`; `verbosity` is passed on.'],
  reasoning: [
    'partly',
    '`effort` is passed on; `summary` (or `generate_summary`) shows the reasoning as summary parts; `context` only `auto` and `current_turn`, `mode` only `standard`.',
  ],
  stream: ['yes', 'Server-sent events, as below.'],
  stream_options: ['no effect', 'Events are never padded: `include_obfuscation` changes nothing.'],
  background: ['yes', 'Survives a restart of the server; resumable stream. Needs `store`.'],
  store: ['yes', 'Default true, kept as [operations.md](operations.md) says.'],
  previous_response_id: ['yes', 'Chains of any length, up to the size that [limits](api/limits.md) names.'],
  conversation: ['yes', 'Id or object; one response at a time (`conversation_locked`).'],
  include: ['yes', 'Evaluated on each read; values below.'],
  metadata: ['yes', '16 pairs, keys to 64, values to 512 characters.'],
  truncation: ['yes', '`auto` leaves out the oldest messages; `disabled` answers `context_length_exceeded`.'],
  service_tier: ['no effect', 'There is one tier. Echoed as `default` at the end.'],
  user: ['yes', 'Echoed, and passed on to the model.'],
  safety_identifier: ['yes', 'Echoed, and passed on as `user`.'],
  prompt_cache_key: ['no effect', 'Echoed. Caching is the model server’s business.'],
  prompt_cache_retention: ['no effect', 'Echoed.'],
  prompt_cache_options: ['no effect', 'Not echoed.'],
  context_management: ['refused', '`unsupported_parameter`: use `truncation`, or compact.'],
  prompt: ['refused', 'There is no store of prompts: 404, as for an unknown one.'],
  callback_url: ['ours', 'Where to send an event when the response has ended.'],
  moderation: ['refused', '`unsupported_parameter` unless null.'],
  access_programs: ['refused', '`unsupported_parameter` unless null.'],
  image: ['refused', '`unsupported_parameter` unless null.'],
};

export const INPUT_ITEMS: Table<InputItem['type']> = {
  message: [
    'yes',
    'Roles user, assistant, system, developer; `type` may be missing; content as text or parts.',
  ],
  function_call: ['yes', 'Each needs its output in the same context.'],
  function_call_output: ['yes', 'Text, or parts with files and images.'],
  reasoning: ['no effect', 'Accepted and listed; not sent to the model again, `encrypted_content` neither.'],
  code_interpreter_call: [
    'yes',
    'Replayed as what Python did; its container is used again if it runs. A `file_id` in outputs is left out.',
  ],
  item_reference: ['yes', 'Resolves to a stored item of the project.'],
  compaction: [
    'yes',
    'Made by `POST /v1/responses/compact` of this server for this project; others are refused.',
  ],
};

export const PARTS: Table<Part['type']> = {
  input_text: ['yes', ''],
  input_image: [
    'partly',
    '`file_id` or a data URL; other URLs are refused, as the server fetches none. Sent to models with `vision`, and put into the container.',
  ],
  input_file: [
    'partly',
    '`file_id` or `file_data`; `file_url` is refused. Put into the container under its name.',
  ],
  output_text: ['yes', 'Annotations, `parsed` and `logprobs` of replayed messages are ignored.'],
  refusal: ['yes', ''],
};

export const TOOLS: Table<Tool['type']> = {
  code_interpreter: [
    'yes',
    '`container`: an id, or `{"type": "auto"}` with `file_ids`, `memory_limit`, `network_policy` (`disabled` only) and our `session_key`. One per request; `allowed_callers` has no effect.',
  ],
  function: [
    'yes',
    'Called by the model, run by the client. The name `python` is taken; `allowed_callers`, `defer_loading` and `output_schema` are echoed and have no effect.',
  ],
};

export const INCLUDES: Table<Include> = {
  'code_interpreter_call.outputs': [
    'yes',
    'Without it `outputs` is null; with it logs, and figures as data URLs, up to 32 MiB in one reply; beyond that a line names the file.',
  ],
  'message.output_text.logprobs': [
    'yes',
    'When the response was made with it; on later reads it shows or hides them.',
  ],
  'reasoning.encrypted_content': ['no effect', 'Reasoning is not encrypted here.'],
  'file_search_call.results': ['no effect', 'There is no such tool.'],
  'web_search_call.results': ['no effect', 'There is no such tool.'],
  'web_search_call.action.sources': ['no effect', 'There is no such tool.'],
  'message.input_image.image_url': ['no effect', 'Input is always shown as it was sent.'],
  'computer_call_output.output.image_url': ['no effect', 'There is no such tool.'],
};

const ECHO: Row = ['yes', 'As asked.'];

export const RESPONSE: Table<keyof ResponseObject> = {
  id: ['yes', '`resp_…`'],
  object: ['yes', '`response`'],
  created_at: ['yes', 'Unix seconds.'],
  status: ['yes', 'queued, in_progress, completed, incomplete, failed, cancelled.'],
  background: ECHO,
  completed_at: ['yes', 'Set when `completed`.'],
  error: ['yes', '`code` is `server_error`, `rate_limit_exceeded` or `context_length_exceeded`.'],
  incomplete_details: ['yes', '`max_output_tokens` or `content_filter`.'],
  instructions: ECHO,
  max_output_tokens: ECHO,
  max_tool_calls: ECHO,
  model: ['yes', 'The name that was asked for.'],
  output: ['yes', 'message, reasoning, function_call, code_interpreter_call; empty until the end.'],
  parallel_tool_calls: ECHO,
  previous_response_id: ECHO,
  conversation: ['yes', 'An object; absent when there is none.'],
  prompt_cache_key: ECHO,
  prompt_cache_retention: ECHO,
  reasoning: ECHO,
  safety_identifier: ECHO,
  service_tier: ['yes', '`auto` at first, `default` at the end.'],
  store: ECHO,
  temperature: ECHO,
  top_p: ECHO,
  top_logprobs: ECHO,
  frequency_penalty: ['yes', 'Always 0.'],
  presence_penalty: ['yes', 'Always 0.'],
  text: ECHO,
  tool_choice: ECHO,
  tools: ['yes', 'As asked; functions with their defaults filled in.'],
  truncation: ECHO,
  usage: ['yes', 'Summed over all turns, as the model server reported; estimated where it reports none.'],
  user: ECHO,
  metadata: ECHO,
  moderation: ['yes', 'Always null.'],
  access_programs: ['yes', 'Always null.'],
};

const SNAPSHOT: Row = ['yes', 'Carries the whole Response.'];

export const EVENTS: Table<DraftEvent['type']> = {
  'response.created': SNAPSHOT,
  'response.queued': ['yes', 'Background responses only.'],
  'response.in_progress': SNAPSHOT,
  'response.completed': SNAPSHOT,
  'response.incomplete': SNAPSHOT,
  'response.failed': ['yes', 'Also ends a cancelled response, with status `cancelled`.'],
  'response.output_item.added': ['yes', 'A `code_interpreter_call` names its container from the beginning.'],
  'response.output_item.done': ['yes', 'With outputs as `include` says.'],
  'response.content_part.added': ['yes', 'Of messages, and of reasoning text.'],
  'response.content_part.done': ['yes', ''],
  'response.output_text.delta': ['yes', ''],
  'response.output_text.done': ['yes', ''],
  'response.output_text.annotation.added': ['yes', '`container_file_citation`, before the text is done.'],
  'response.refusal.delta': ['yes', ''],
  'response.refusal.done': ['yes', ''],
  'response.function_call_arguments.delta': ['yes', ''],
  'response.function_call_arguments.done': ['yes', 'With `name`.'],
  'response.reasoning_summary_part.added': ['yes', 'With `reasoning.summary`.'],
  'response.reasoning_summary_part.done': ['yes', 'With `reasoning.summary`.'],
  'response.reasoning_summary_text.delta': ['yes', 'With `reasoning.summary`.'],
  'response.reasoning_summary_text.done': ['yes', 'With `reasoning.summary`.'],
  'response.reasoning_text.delta': ['yes', 'Without `reasoning.summary`.'],
  'response.reasoning_text.done': ['yes', 'Without `reasoning.summary`.'],
  'response.code_interpreter_call.in_progress': ['yes', ''],
  'response.code_interpreter_call_code.delta': ['yes', ''],
  'response.code_interpreter_call_code.done': ['yes', ''],
  'response.code_interpreter_call.interpreting': ['yes', 'Python begins.'],
  'response.code_interpreter_call.completed': ['yes', 'Not sent when the sandbox could not run it.'],
};
