/** Requests and objects of the Files API (docs/contract/files.md). */
import { z } from 'zod';
import { pageQuery } from '../common/pagination.js';
import { integer, maybe } from '../common/wire-schema.js';

export const FILE_PURPOSES = ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', 'evals'] as const;

const MIN_LIFETIME_SECONDS = 3_600;
const MAX_LIFETIME_SECONDS = 2_592_000;
export const MAX_PAGE = 10_000;

/** Purposes of files that the server makes; they can be asked for in lists. */
const OUTPUT_PURPOSES = ['assistants_output', 'batch_output', 'fine-tune-results'] as const;

/** Answers in the words of the real service, which names no code here. */
const oneOf = (purposes: readonly string[]) =>
  z.string().superRefine((value, context) => {
    if (purposes.includes(value)) return;
    const shown = value.length > 64 ? `${value.slice(0, 61)}...` : value;
    const known = purposes.map((each) => `'${each}'`).join(', ');
    context.addIssue({
      code: 'custom',
      message: `'${shown}' is not one of [${known}] - 'purpose'`,
      params: { code: 'invalid_request' },
    });
  });

export const purposeSchema = oneOf(FILE_PURPOSES).meta({
  description: 'What the file is for.',
  enum: [...FILE_PURPOSES],
});

/** JSON sends numbers, multipart sends text; both are taken. */
export const expiresAfterSchema = z
  .strictObject({
    anchor: z.enum(['created_at']),
    seconds: integer({ min: MIN_LIFETIME_SECONDS, max: MAX_LIFETIME_SECONDS }).meta({
      description: `Seconds after creation, ${MIN_LIFETIME_SECONDS} to ${MAX_LIFETIME_SECONDS}.`,
    }),
  })
  .meta({ id: 'FileExpiresAfter' });

/** The text parts beside the file. */
export const createFileFields = z.strictObject({
  purpose: purposeSchema,
  expires_after: maybe(expiresAfterSchema),
});

const WHOLE_NUMBER = /^-?\d+$/;

/** Text of a query parameter → number where it is one; empty counts as absent. */
const fromQuery = (value: unknown): unknown => {
  if (value === '') return undefined;
  return typeof value === 'string' && WHOLE_NUMBER.test(value) ? Number(value) : value;
};

/** Out of range is answered in the real service's words for this endpoint. */
const limitSchema = z
  .preprocess(fromQuery, z.int().optional())
  .superRefine((value, context) => {
    if (value === undefined || (value >= 1 && value <= MAX_PAGE)) return;
    context.addIssue({
      code: 'custom',
      message: `limit must be between 1 and ${MAX_PAGE}.`,
      params: { code: value < 1 ? 'integer_below_min_value' : 'integer_above_max_value' },
    });
  })
  .transform((value) => value ?? MAX_PAGE)
  .meta({ description: `Entries a page, 1 to ${MAX_PAGE}; ${MAX_PAGE} if not given.` });

export const listFilesQuery = pageQuery().extend({
  limit: limitSchema,
  purpose: z
    .preprocess(
      (value) => (value === '' ? undefined : value),
      oneOf([...FILE_PURPOSES, ...OUTPUT_PURPOSES]).optional(),
    )
    .meta({ description: 'Only files of this purpose.' }),
});

export type ListFilesQuery = z.output<typeof listFilesQuery>;

export const fileSchema = z
  .object({
    id: z.string(),
    object: z.literal('file'),
    bytes: z.int(),
    created_at: z.int(),
    expires_at: z.int().nullable(),
    filename: z.string(),
    purpose: z.string(),
    status: z.literal('processed').meta({ description: 'Always processed: a file is ready at once.' }),
    status_details: z.null(),
  })
  .meta({ id: 'File' });

export type FileObject = z.output<typeof fileSchema>;

export const deletedFileSchema = z
  .object({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) })
  .meta({ id: 'DeletedFile' });

export type DeletedFile = z.output<typeof deletedFileSchema>;
