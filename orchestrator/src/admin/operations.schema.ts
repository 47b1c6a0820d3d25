/** Objects that tell what the server itself does. */
import { z } from 'zod';
import { MEMORY_SIZES } from '../config/env.schema.js';

export const poolSchema = z
  .object({
    object: z.literal('pool'),
    sizes: z.array(
      z.object({
        memory_limit: z.enum(MEMORY_SIZES),
        target: z.int(),
        warm: z.int(),
        starting: z.int(),
      }),
    ),
    bound_sandboxes: z.int().meta({ description: 'Sandboxes that serve a container.' }),
    sandbox_memory_bytes: z.int().meta({ description: 'Memory all sandboxes really use.' }),
    host_free_memory_bytes: z.int(),
    memory_floor_bytes: z
      .int()
      .meta({ description: 'Free memory below which no sandbox starts and idle ones are given up.' }),
    draining: z.boolean(),
  })
  .meta({ id: 'Pool' });

export type PoolObject = z.output<typeof poolSchema>;

export const drainSchema = z
  .object({
    object: z.literal('drain'),
    draining: z.boolean(),
    since: z.int().nullable(),
    running_executions: z.int().meta({ description: 'What still has to end.' }),
  })
  .meta({ id: 'Drain' });

export type DrainObject = z.output<typeof drainSchema>;

export const sweepSchema = z
  .object({
    object: z.literal('sweep'),
    created_at: z.int(),
    expired_containers: z.int(),
    removed_sandboxes: z.int(),
    forgotten: z
      .object({
        files: z.int(),
        uploads: z.int(),
        responses: z.int(),
        events: z.int(),
        conversations: z.int(),
        deliveries: z.int(),
        container_files: z.int(),
        executions: z.int(),
        containers: z.int(),
        replies: z.int().meta({ description: 'Kept for requests with an `Idempotency-Key`.' }),
        keys: z.int().meta({ description: 'Revoked more than a year ago.' }),
        links: z.int().meta({ description: 'Expired more than a day ago.' }),
      })
      .meta({ description: 'Rows that were removed or lost their content.' }),
    removed_blobs: z.int(),
  })
  .meta({ id: 'Sweep' });

export type SweepObject = z.output<typeof sweepSchema>;

export const queueSchema = z
  .object({
    id: z.string(),
    object: z.literal('queue'),
    waiting: z.int(),
    active: z.int(),
    delayed: z.int(),
    failed: z.int(),
  })
  .meta({ id: 'Queue' });

export type QueueObject = z.output<typeof queueSchema>;
