/** Requests and objects of signed links to files. */
import { z } from 'zod';
import { pageQuery } from '../common/pagination.js';
import { integer, maybe } from '../common/wire-schema.js';

const MIN_LIFETIME_SECONDS = 60;
const MAX_LIFETIME_SECONDS = 30 * 24 * 3_600;
export const DEFAULT_LIFETIME_SECONDS = 7 * 24 * 3_600;

const expiresAfterSchema = z
  .strictObject({
    anchor: z.enum(['created_at']),
    seconds: integer({ min: MIN_LIFETIME_SECONDS, max: MAX_LIFETIME_SECONDS }).meta({
      description: `Seconds after creation, ${MIN_LIFETIME_SECONDS} to ${MAX_LIFETIME_SECONDS}.`,
    }),
  })
  .meta({ id: 'LinkExpiresAfter' });

export const createLinkSchema = z
  .strictObject({
    expires_after: maybe(expiresAfterSchema).meta({
      description: `When the link ends; after ${DEFAULT_LIFETIME_SECONDS} seconds if not given.`,
    }),
  })
  .meta({ id: 'CreateLinkRequest' });

export type CreateLinkRequest = z.output<typeof createLinkSchema>;

export const listLinksQuery = pageQuery();

export const linkSchema = z
  .object({
    id: z.string(),
    object: z.literal('file.link'),
    file_id: z.string(),
    filename: z.string(),
    url: z
      .string()
      .nullable()
      .meta({ description: 'Opens the file without a key. Shown this once; null in lists.' }),
    created_at: z.int(),
    expires_at: z.int(),
    downloads: z.int(),
    last_downloaded_at: z.int().nullable(),
  })
  .meta({ id: 'FileLink' });

export type LinkObject = z.output<typeof linkSchema>;

export const deletedLinkSchema = z
  .object({ id: z.string(), object: z.literal('file.link'), deleted: z.literal(true) })
  .meta({ id: 'DeletedFileLink' });

export type DeletedLink = z.output<typeof deletedLinkSchema>;
