/** Requests and objects of projects and their keys. */
import { z } from 'zod';
import { pageQuery } from '../common/pagination.js';
import { integer, maybe, queryBoolean } from '../common/wire-schema.js';
import { parseBytes } from '../config/env.schema.js';

const LARGEST_SIZE_BYTES = 2 ** 50;
const LARGEST_LIMIT = 1_000_000_000;

const nameSchema = z.string().min(1).max(256);

/** `64g` → bytes; null means the server's default. */
const sizeSchema = (name: string, description: string) =>
  z
    .string()
    .transform((text, context) => {
      const bytes = parseBytes(text);
      if (Number.isSafeInteger(bytes) && bytes <= LARGEST_SIZE_BYTES) return bytes;
      context.addIssue({
        code: 'custom',
        message: `Invalid value for '${name}': expected a size such as '64g' or '512m', but got '${text.slice(0, 32)}'.`,
      });
      return z.NEVER;
    })
    .nullish()
    .meta({ description });

const sizes = {
  memory_pool: sizeSchema(
    'memory_pool',
    'Memory that running containers may add up to, such as 64g; null for the default.',
  ),
  storage_quota: sizeSchema(
    'storage_quota',
    'Bytes that may be stored, such as 100g; null for the default, 0 for no limit.',
  ),
};

const limitSchema = (what: string) =>
  integer({ min: 0, max: LARGEST_LIMIT, fromText: false })
    .nullish()
    .meta({ description: `${what} of each key; null for the server's default, 0 for no limit.` });

const limits = {
  requests_per_minute: limitSchema('Requests per minute'),
  concurrent_runs: limitSchema('Responses and executions at the same time'),
};

/** Whether files can be opened by signed links. */
const links = maybe(z.boolean()).meta({
  description: 'Whether files can be opened by links without a key; false ends those that are out as well.',
});

export const createProjectSchema = z
  .strictObject({ name: nameSchema, ...sizes, ...limits, links })
  .meta({ id: 'CreateProjectRequest' });

export type CreateProjectRequest = z.output<typeof createProjectSchema>;

export const updateProjectSchema = z
  .strictObject({
    name: maybe(nameSchema),
    ...sizes,
    ...limits,
    links,
    status: maybe(z.enum(['active', 'suspended'])).meta({
      description: 'Every request of a suspended project is answered with 403.',
    }),
  })
  .meta({ id: 'UpdateProjectRequest' });

export type UpdateProjectRequest = z.output<typeof updateProjectSchema>;

export const deleteProjectQuery = z.object({
  force: maybe(queryBoolean()).meta({ description: 'End its containers and delete all that it holds.' }),
});

export const listQuery = pageQuery();

export const projectSchema = z
  .object({
    id: z.string(),
    object: z.literal('project'),
    name: z.string(),
    status: z.enum(['active', 'suspended']),
    memory_pool: z.string().nullable(),
    storage_quota: z.string().nullable(),
    requests_per_minute: z.int().nullable(),
    concurrent_runs: z.int().nullable(),
    links: z.boolean(),
    created_at: z.int(),
  })
  .meta({ id: 'Project' });

export type ProjectObject = z.output<typeof projectSchema>;

export const deletedProjectSchema = z
  .object({ id: z.string(), object: z.literal('project.deleted'), deleted: z.literal(true) })
  .meta({ id: 'DeletedProject' });

export const createKeySchema = z.strictObject({ name: nameSchema }).meta({ id: 'CreateApiKeyRequest' });

export const keySchema = z
  .object({
    id: z.string(),
    object: z.literal('project.api_key'),
    project_id: z.string(),
    name: z.string(),
    hint: z.string().meta({ description: 'The last four characters of the secret.' }),
    created_at: z.int(),
    last_used_at: z.int().nullable().meta({ description: 'To the minute.' }),
    revoked_at: z.int().nullable(),
  })
  .meta({ id: 'ApiKey' });

export type KeyObject = z.output<typeof keySchema>;

export const newKeySchema = keySchema
  .extend({ secret: z.string().meta({ description: 'Shown this once and never stored.' }) })
  .meta({ id: 'NewApiKey' });

export type NewKeyObject = z.output<typeof newKeySchema>;

export const deletedKeySchema = z
  .object({ id: z.string(), object: z.literal('project.api_key.deleted'), deleted: z.literal(true) })
  .meta({ id: 'DeletedApiKey' });
