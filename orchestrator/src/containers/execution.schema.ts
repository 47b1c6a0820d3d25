/** Executions: an extension of ours beside the Containers API (docs/api). */
import { z } from 'zod';
import { MAX_CODE_CHARS } from '../common/code-length.js';
import { integer, maybe, record } from '../common/wire-schema.js';

const NAMES = 64;
/** What Python takes as the name of a variable, but for its keywords. */
const variable = z
  .string()
  .max(128)
  .regex(/^(?!__)[\p{ID_Start}_][\p{ID_Continue}]*$/u, 'is not a Python name');
export const runCodeSchema = z
  .strictObject({
    code: z.string().min(1).max(MAX_CODE_CHARS),
    timeout_ms: maybe(integer({ min: 100, max: 3_600_000, fromText: false })).meta({
      description: 'Wall time in milliseconds.',
    }),
    inputs: maybe(z.union([record(z.record(variable, z.unknown()), NAMES, 'inputs'), z.string()])).meta({
      description:
        'Values that the code finds under these names: a JSON object, or its text where it has more values than a body may have.',
    }),
    inputs_from: maybe(record(z.record(variable, z.string().min(1).max(4_096)), NAMES, 'inputs_from')).meta({
      description: 'The same from files of the container: name of a variable, path of a file with JSON.',
    }),
    dataframes: maybe(record(z.record(variable, variable), NAMES, 'dataframes')).meta({
      description:
        'pandas DataFrames made of inputs: name of the DataFrame, name of the input with its rows.',
    }),
    returns: maybe(z.enum(['none', 'automatic', 'result', 'expression'])).meta({
      description:
        'What comes back as `value`: the variable `result`, the value of the last line, or with `automatic` the first of these that there is.',
    }),
    stream: maybe(z.boolean()).meta({ description: 'Answer with server-sent events while the code runs.' }),
  })
  .meta({ id: 'RunCodeRequest' });

export type RunCodeRequest = z.output<typeof runCodeSchema>;

const outputSchema = z
  .discriminatedUnion('type', [
    z.object({ type: z.enum(['stdout', 'stderr', 'result', 'display']), text: z.string() }),
    z.object({ type: z.literal('error'), name: z.string(), value: z.string(), traceback: z.string() }),
    z.object({
      type: z.literal('image'),
      file_id: z.string(),
      mime_type: z.string(),
      bytes: z.int(),
      title: z.string().optional().meta({ description: 'What the figure is called in the picture.' }),
      saved_as: z.string().optional().meta({ description: 'Path that the same figure was saved to.' }),
    }),
    z.object({ type: z.literal('notice'), code: z.string(), message: z.string() }),
  ])
  .meta({ id: 'ExecutionOutput' });

export const executionSchema = z
  .object({
    id: z.string(),
    object: z.literal('container.execution'),
    container_id: z.string(),
    response_id: z.string().nullable(),
    status: z.enum([
      'queued',
      'running',
      'completed',
      'timed_out',
      'interrupted',
      'out_of_memory',
      'kernel_died',
      'failed',
    ]),
    code: z.string(),
    outputs: z.array(outputSchema),
    error: z
      .object({ name: z.string(), value: z.string(), traceback: z.string() })
      .nullable()
      .meta({ description: 'The Python exception that ended the code, if one did.' }),
    files: z.array(
      z.object({
        id: z.string(),
        path: z.string(),
        bytes: z.int(),
        change: z.enum(['created', 'modified', 'deleted']),
      }),
    ),
    value: z
      .object({ from: z.enum(['result', 'expression']), json: z.unknown() })
      .nullable()
      .meta({ description: 'What the code gave back, where `returns` asked for it.' }),
    state_lost: z
      .boolean()
      .meta({ description: 'Variables of earlier executions are gone; files are kept.' }),
    duration_ms: z.int().nullable(),
    peak_memory_bytes: z.int().nullable(),
    timeout_ms: z.int(),
    created_at: z.int(),
    started_at: z.int().nullable(),
    completed_at: z.int().nullable(),
  })
  .meta({ id: 'Execution' });

export type ExecutionObject = z.output<typeof executionSchema>;
