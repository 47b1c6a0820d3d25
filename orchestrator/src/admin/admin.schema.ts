/** Requests and objects of the admin API beside projects: what runs, what it costs, what the server does. */
import { z } from 'zod';
import { pageQuery } from '../common/pagination.js';
import { integer, maybe, queryText } from '../common/wire-schema.js';
import { MEMORY_SIZES } from '../config/env.schema.js';

const EXECUTION_STATUSES = [
  'queued',
  'running',
  'completed',
  'timed_out',
  'interrupted',
  'out_of_memory',
  'kernel_died',
  'failed',
] as const;

export const listContainersQuery = pageQuery().extend({
  project_id: queryText().optional(),
  status: z
    .enum(['running', 'expired', 'deleted'])
    .optional()
    .meta({ description: 'Deleted containers are listed only when asked for.' }),
});

export type ListContainersQuery = z.output<typeof listContainersQuery>;

export const adminContainerSchema = z
  .object({
    id: z.string(),
    object: z.literal('container'),
    project_id: z.string(),
    name: z.string(),
    status: z.enum(['running', 'expired', 'deleted']),
    created_at: z.int(),
    last_active_at: z.int(),
    expires_after: z.object({ anchor: z.literal('last_active_at'), minutes: z.int() }),
    ended_at: z.int().nullable(),
    memory_limit: z.enum(MEMORY_SIZES),
    memory_bytes: z.int(),
    auto: z.boolean().meta({ description: 'Made by the server for a response.' }),
    session_key: z.string().nullable(),
    live_sandbox: z.boolean().meta({ description: 'A sandbox serves it at this moment, awake or asleep.' }),
    sandbox: z.enum(['none', 'awake', 'asleep']).meta({
      description: 'asleep: written to disk with its variables; the next use wakes it.',
    }),
    stays_awake: z
      .string()
      .nullable()
      .meta({ description: 'Why the sandbox was not put to sleep when nobody used it.' }),
  })
  .meta({ id: 'AdminContainer' });

export type AdminContainerObject = z.output<typeof adminContainerSchema>;

export const deletedContainerSchema = z
  .object({ id: z.string(), object: z.literal('container.deleted'), deleted: z.literal(true) })
  .meta({ id: 'AdminDeletedContainer' });

/** `include=code` and `include[]=code` are one thing (docs/contract/errors-and-headers.md). */
const includeCode = z
  .preprocess((value) => (typeof value === 'string' ? [value] : value), maybe(z.array(z.enum(['code']))))
  .meta({ description: 'code: show what was run.' });

export const executionQuery = z.object({ include: includeCode });
export type ExecutionQuery = z.output<typeof executionQuery>;

export const listExecutionsQuery = pageQuery().extend({
  project_id: queryText().optional(),
  container_id: queryText().optional(),
  status: z.enum(EXECUTION_STATUSES).optional(),
  include: includeCode,
});

export type ListExecutionsQuery = z.output<typeof listExecutionsQuery>;

export const adminExecutionSchema = z
  .object({
    id: z.string(),
    object: z.literal('container.execution'),
    project_id: z.string(),
    container_id: z.string(),
    response_id: z.string().nullable(),
    status: z.enum(EXECUTION_STATUSES),
    error_name: z
      .string()
      .nullable()
      .meta({ description: 'Class of the Python exception, if one ended it.' }),
    state_lost: z.boolean(),
    timeout_ms: z.int(),
    duration_ms: z.int().nullable(),
    peak_memory_bytes: z.int().nullable(),
    created_at: z.int(),
    started_at: z.int().nullable(),
    completed_at: z.int().nullable(),
    code: z.string().optional(),
  })
  .meta({ id: 'AdminExecution' });

export type AdminExecutionObject = z.output<typeof adminExecutionSchema>;

const unixSeconds = (description: string) =>
  maybe(integer({ min: 0, max: 8_640_000_000_000 })).meta({ description });

const period = {
  from: unixSeconds('Unix seconds; what began before is not counted.'),
  to: unixSeconds('Unix seconds; what began then or later is not counted.'),
};

export const usageQuery = z.object(period);
export type UsageQuery = z.output<typeof usageQuery>;
export const listUsageQuery = pageQuery().extend(period);
export type ListUsageQuery = z.output<typeof listUsageQuery>;

const fileUse = z.object({ count: z.int(), bytes: z.int() });

export const usageSchema = z
  .object({
    object: z.literal('project.usage'),
    project_id: z.string(),
    from: z.int().nullable(),
    to: z.int().nullable(),
    containers: z.object({
      running: z.int(),
      memory_bytes: z.int().meta({ description: 'What running containers take of the memory pool.' }),
      memory_pool_bytes: z.int(),
    }),
    files: fileUse,
    container_files: fileUse,
    storage: z.object({
      bytes: z.int().meta({ description: 'Files, parts of pending uploads and files in containers.' }),
      quota_bytes: z.int().nullable().meta({ description: 'What it may store; null for no limit.' }),
    }),
    executions: z.object({ count: z.int(), duration_ms: z.int() }),
    responses: z.object({
      count: z.int(),
      input_tokens: z.int(),
      output_tokens: z.int(),
      total_tokens: z.int(),
    }),
  })
  .meta({ id: 'ProjectUsage' });

export type UsageObject = z.output<typeof usageSchema>;
