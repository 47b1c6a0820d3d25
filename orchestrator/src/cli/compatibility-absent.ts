/**
 * What OpenAI's API for responses has and this server has not. A test compares these lists and the tables with
 * the types of the newest official client, so that whatever is new there is decided here.
 */
export interface Absent {
  /** What the names are, as the page calls it. */
  readonly what: string;
  /** What happens instead. */
  readonly instead: string;
  readonly names: readonly string[];
}

const words = (text: string): string[] => text.trim().split(/\s+/);

export const ABSENT = {
  tools: {
    what: 'Tools',
    instead: 'Refused with `invalid_value`.',
    names: words(`
      apply_patch computer computer_use_preview custom file_search image_generation local_shell mcp namespace
      programmatic_tool_calling shell tool_search web_search web_search_2025_08_26 web_search_preview
      web_search_preview_2025_03_11`),
  },
  functionFields: {
    what: 'Fields of a function',
    instead: 'Refused with `unknown_parameter`.',
    names: ['async'],
  },
  items: {
    what: 'Items',
    instead: 'Refused with `invalid_value` in an input, never in an output.',
    names: words(`
      additional_tools apply_patch_call apply_patch_call_output compaction_trigger computer_call
      computer_call_output configuration_update custom_tool_call custom_tool_call_output file_search_call
      image_generation_call local_shell_call local_shell_call_output mcp_approval_request mcp_approval_response
      mcp_call mcp_list_tools program program_output shell_call shell_call_output tool_search_call
      tool_search_output web_search_call`),
  },
  responseFields: {
    what: 'Fields of a response',
    instead: 'Left out.',
    names: words(`
      image input_transformations prompt prompt_cache_diagnostics prompt_cache_options tool_usage`),
  },
  events: {
    what: 'Events',
    instead: 'Never sent.',
    names: words(`
      error response.audio.delta response.audio.done response.audio.transcript.delta
      response.audio.transcript.done response.compaction.compacting response.custom_tool_call_input.delta
      response.custom_tool_call_input.done response.file_search_call.completed
      response.file_search_call.in_progress response.file_search_call.searching
      response.image_generation_call.completed response.image_generation_call.generating
      response.image_generation_call.in_progress response.image_generation_call.partial_image
      response.mcp_call.completed response.mcp_call.failed response.mcp_call.in_progress
      response.mcp_call_arguments.delta response.mcp_call_arguments.done response.mcp_list_tools.completed
      response.mcp_list_tools.failed response.mcp_list_tools.in_progress response.shell_call_command.added
      response.shell_call_command.delta response.shell_call_command.done
      response.shell_call_output_content.delta response.shell_call_output_content.done
      response.web_search_call.completed response.web_search_call.in_progress
      response.web_search_call.searching`),
  },
} as const satisfies Readonly<Record<string, Absent>>;

export function absentSection(): string {
  const rows = Object.values(ABSENT).map(
    ({ what, instead, names }) =>
      `| ${what} | ${names.map((name) => `\`${name}\``).join(', ')} | ${instead} |`,
  );
  return [
    '## What is not there\n',
    'WebSocket: responses are asked for and streamed over HTTP only, so the `ws` mode of the official clients does not connect. Realtime, audio and the stores of prompts and vectors are not there either.\n',
    '| | Names | Instead |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}
