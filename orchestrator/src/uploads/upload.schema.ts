/** Requests and objects of the Uploads API (docs/contract/files.md). */
import { z } from 'zod';
import { integer, maybe } from '../common/wire-schema.js';
import { expiresAfterSchema, fileSchema, purposeSchema } from '../files/file.schema.js';

/** Most parts one upload may have. */
export const MAX_PARTS = 10_000;

export const createUploadSchema = z
  .strictObject({
    bytes: integer({ min: 1, fromText: false }).meta({ description: 'Size of the whole file, in bytes.' }),
    filename: z.string().min(1).max(1_024),
    mime_type: z.string().min(1).max(255),
    purpose: purposeSchema,
    expires_after: maybe(expiresAfterSchema).meta({ description: 'Lifetime of the file that comes out.' }),
  })
  .meta({ id: 'CreateUploadRequest' });

export type CreateUploadRequest = z.output<typeof createUploadSchema>;

export const completeUploadSchema = z
  .strictObject({
    part_ids: z
      .array(z.string())
      .min(1)
      .max(MAX_PARTS)
      .meta({ description: 'The parts, in the order of the file.' }),
    md5: maybe(z.string().regex(/^[0-9a-fA-F]{32}$/, 'expected 32 hexadecimal digits')).meta({
      description: 'MD5 of the whole file, checked before it is accepted.',
    }),
  })
  .meta({ id: 'CompleteUploadRequest' });

export type CompleteUploadRequest = z.output<typeof completeUploadSchema>;

/** The text parts beside `data`: none. */
export const partFields = z.strictObject({});

export const uploadSchema = z
  .object({
    id: z.string(),
    object: z.literal('upload'),
    bytes: z.int(),
    created_at: z.int(),
    expires_at: z.int(),
    filename: z.string(),
    purpose: z.string(),
    status: z.enum(['pending', 'completed', 'cancelled', 'expired']),
    file: fileSchema.nullable(),
  })
  .meta({ id: 'Upload' });

export type UploadObject = z.output<typeof uploadSchema>;

export const uploadPartSchema = z
  .object({ id: z.string(), object: z.literal('upload.part'), created_at: z.int(), upload_id: z.string() })
  .meta({ id: 'UploadPart' });

export type UploadPartObject = z.output<typeof uploadPartSchema>;
