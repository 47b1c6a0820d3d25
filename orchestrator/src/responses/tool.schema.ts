/** The `tools` and `tool_choice` parameters (docs/contract/code-interpreter.md). */
import { z } from 'zod';
import { jsonSchema, list, maybe } from '../common/wire-schema.js';
import {
  MAX_FILE_IDS,
  memoryLimitSchema,
  networkPolicySchema,
  sessionKeySchema,
} from '../containers/container.schema.js';

const FUNCTION_NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** Tools of one request. */
export const MAX_TOOLS = 128;
const SUPPORTED = ['code_interpreter', 'function'] as const;

const autoContainerSchema = z.strictObject({
  type: z.enum(['auto']),
  file_ids: maybe(list(z.string().max(64), MAX_FILE_IDS)),
  memory_limit: maybe(memoryLimitSchema),
  network_policy: maybe(networkPolicySchema),
  session_key: maybe(sessionKeySchema).meta({
    description: 'Extension: the project’s running container of this key, made if there is none.',
  }),
});

export type AutoContainer = z.output<typeof autoContainerSchema>;

/** Who may call a tool; here only the model does. */
const allowedCallers = maybe(list(z.enum(['direct', 'programmatic']), 16));

const codeInterpreterSchema = z.strictObject({
  type: z.literal('code_interpreter'),
  container: z.union([z.string().max(64), autoContainerSchema]),
  allowed_callers: allowedCallers,
});

const functionSchema = z.strictObject({
  type: z.literal('function'),
  name: z
    .string()
    .regex(FUNCTION_NAME, 'expected 1 to 64 letters, digits, underscores or dashes')
    .refine((name) => name !== 'python', "'python' is the name of the code interpreter; choose another one"),
  description: maybe(z.string()),
  parameters: maybe(jsonSchema()),
  strict: maybe(z.boolean()),
  allowed_callers: allowedCallers,
  defer_loading: maybe(z.boolean()),
  output_schema: maybe(jsonSchema()),
});

export const toolSchema = z
  .looseObject({ type: z.string() })
  .superRefine((tool, context) => {
    if ((SUPPORTED as readonly string[]).includes(tool.type)) return;
    context.addIssue({
      code: 'custom',
      path: ['type'],
      message: `Invalid value: '${tool.type}'. Supported values are: 'code_interpreter' and 'function'.`,
      params: { code: 'invalid_value' },
    });
  })
  .pipe(z.discriminatedUnion('type', [codeInterpreterSchema, functionSchema]));

export type Tool = z.output<typeof toolSchema>;
export type CodeInterpreterTool = z.output<typeof codeInterpreterSchema>;

const HOSTED = [
  'code_interpreter',
  'file_search',
  'web_search_preview',
  'computer_use_preview',
  'image_generation',
  'mcp',
  'custom',
  'shell',
  'apply_patch',
] as const;

export const toolChoiceSchema = z.union([
  z.enum(['none', 'auto', 'required']),
  z.strictObject({ type: z.literal('function'), name: z.string() }),
  z.strictObject({
    type: z.literal('allowed_tools'),
    mode: z.enum(['auto', 'required']),
    tools: list(z.object({ type: z.string(), name: maybe(z.string()) }), MAX_TOOLS, 1),
  }),
  z.object({ type: z.enum(HOSTED) }),
]);

export type ToolChoice = z.output<typeof toolChoiceSchema>;
