/** Shapes of the supervisor's replies and events (sandbox/README.md). What does not fit is `protocol`. */
import { z } from 'zod';
import { SandboxError } from '../sandbox.driver.js';
import type { FrameHeader } from './frame-codec.js';

const count = z.number().int().nonnegative();
/** For people: lone surrogates would break UTF-8 further on. */
const text = z.string().transform((value) => value.toWellFormed());
const fileFields = {
  path: z.string(),
  bytes: count,
  mtime_ms: z.number(),
  /** Missing for a deleted file, and from a sandbox of an older release. */
  stamp: z.string().max(64).optional(),
  /** Only where it is less than `bytes`. */
  stored_bytes: count.optional(),
  /** Only of files with several names. */
  identity: z.string().max(64).optional(),
};

/** Version of the protocol that this server speaks: `VERSION` in sandbox/supervisor/service.py. */
export const PROTOCOL = '2';

export const pingReply = z.object({
  version: z.union([z.string(), z.number()]).transform(String),
  kernel: z.enum(['starting', 'ready', 'busy', 'dead']),
  uptime_ms: z.number(),
  /** The sandbox was made from the image of a checkpoint. Missing from one of an older release. */
  restored: z.boolean().default(false),
});
export type PingReply = z.infer<typeof pingReply>;

export const interruptReply = z.object({ running: z.boolean() });

export const fileReply = z.object(fileFields);
export type FileReply = z.infer<typeof fileReply>;

export const listReply = z.object({
  entries: z.array(fileReply),
  /** There are more after these. */
  truncated: z.boolean(),
  /** False: the walk met the limit on files, so that there may be more that nobody can list. */
  complete: z.boolean().default(true),
  /** Bytes that the data disk has in use. */
  used_bytes: count.optional(),
});

export const openedEvent = z.object({
  ...fileFields,
  path: z.string().optional(),
  mtime_ms: z.number().default(0),
});

/** `zeros`: so many bytes of zeros, in the place of a payload. */
export const dataEvent = z.object({ zeros: count.default(0) });

const fileChange = z.object({ ...fileFields, change: z.enum(['created', 'modified', 'deleted']) });
export type FileChangeReply = z.infer<typeof fileChange>;

export const executeDone = z.object({
  status: z.enum(['completed', 'timed_out', 'interrupted', 'out_of_memory', 'kernel_died']),
  state_lost: z.boolean(),
  duration_ms: z.number().nonnegative(),
  peak_memory_bytes: z.number().nonnegative(),
  /** The last of the changes; `files` events before hold the others. */
  files: z.array(fileChange),
  files_truncated: z.boolean(),
  used_bytes: count.optional(),
});

export const executeEvent = z.discriminatedUnion('event', [
  z.object({ event: z.literal('started') }),
  z.object({ event: z.enum(['stdout', 'stderr', 'display', 'result']), text }),
  z.object({
    event: z.literal('image'),
    index: count,
    mime: z.enum(['image/png', 'image/jpeg']),
    bytes: count,
    more: z.boolean(),
    title: text.optional(),
    saved_as: text.optional(),
  }),
  z.object({
    event: z.literal('value'),
    from: z.enum(['result', 'expression']),
    bytes: count,
    more: z.boolean(),
  }),
  z.object({ event: z.literal('error'), name: text, value: text, traceback: text }),
  z.object({ event: z.literal('files'), files: z.array(fileChange) }),
  z.object({ event: z.literal('notice'), code: z.string(), message: text }),
]);
export type ExecuteEvent = z.infer<typeof executeEvent>;

/** Throws `protocol` when the header does not have the shape. */
export function parse<T>(schema: z.ZodType<T>, header: FrameHeader): T {
  const result = schema.safeParse(header);
  if (result.success) return result.data;
  const where = result.error.issues.map((issue) => issue.path.join('.')).join(', ');
  throw new SandboxError('protocol', `the supervisor answered in an unknown shape (${where})`);
}
