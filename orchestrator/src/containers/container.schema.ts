/** Requests and objects of the Containers API (docs/contract/containers.md). */
import { z } from 'zod';
import { pageQuery } from '../common/pagination.js';
import { integer, maybe, queryText } from '../common/wire-schema.js';
import { MEMORY_SIZES } from '../config/env.schema.js';

/** What a container gets that says nothing, and the most one may ask for unless the operator allows more. */
export const IDLE_MINUTES = 20;
/** The most that an operator may allow: a week. */
export const MOST_IDLE_MINUTES = 10_080;
export const MAX_FILE_IDS = 50;

export const memoryLimitSchema = z.enum(MEMORY_SIZES);

export const networkPolicySchema = z
  .strictObject({
    type: z.enum(['disabled', 'allowlist']),
    allowed_domains: maybe(z.array(z.string())),
    domain_secrets: maybe(z.array(z.unknown())),
  })
  .superRefine((policy, context) => {
    if (policy.type === 'allowlist') {
      context.addIssue({
        code: 'custom',
        path: ['type'],
        message:
          "Containers on this server have no network: only network_policy type 'disabled' is supported.",
        params: { code: 'unsupported_value' },
      });
    }
  })
  .transform(() => ({ type: 'disabled' as const }));

const expiresAfterSchema = z.strictObject({
  anchor: z.enum(['last_active_at']),
  // What the operator allows, usually less, is looked at by the service.
  minutes: integer({ min: 1, max: MOST_IDLE_MINUTES, fromText: false }).meta({
    description: `At most ${IDLE_MINUTES}, unless the operator allows more (CONTAINER_MAX_IDLE_MINUTES).`,
  }),
});

/** Free text chosen by the caller; one running container of a project per key. */
export const sessionKeySchema = z.string().min(1).max(256);

const unsupportedSkills = maybe(z.array(z.unknown())).superRefine((value, context) => {
  if (value !== undefined && value.length > 0) {
    context.addIssue({
      code: 'custom',
      message:
        "Skills are not supported by this server. Leave out 'skills', or upload the files with file_ids.",
      params: { code: 'unsupported_parameter' },
    });
  }
});

export const createContainerSchema = z
  .strictObject({
    name: z.string().min(1).max(256),
    expires_after: maybe(expiresAfterSchema),
    expire_after: maybe(expiresAfterSchema).meta({ description: 'Alias of expires_after.' }),
    file_ids: maybe(z.array(z.string().max(64)).max(MAX_FILE_IDS)),
    memory_limit: maybe(memoryLimitSchema),
    network_policy: maybe(networkPolicySchema),
    skills: unsupportedSkills,
    session_key: maybe(sessionKeySchema).meta({
      description: 'Extension: returns the running container of this key if there is one, else creates it.',
    }),
  })
  .meta({ id: 'CreateContainerRequest' });

export type CreateContainerRequest = z.output<typeof createContainerSchema>;

export const listContainersQuery = pageQuery().extend({ name: queryText().optional() });

export const containerSchema = z
  .object({
    id: z.string(),
    object: z.literal('container'),
    name: z.string(),
    created_at: z.int(),
    status: z.enum(['running', 'expired']),
    last_active_at: z.int(),
    expires_after: z.object({ anchor: z.literal('last_active_at'), minutes: z.int() }),
    memory_limit: memoryLimitSchema,
    network_policy: z.object({ type: z.literal('disabled') }),
    session_key: z.string().nullable().optional(),
  })
  .meta({ id: 'Container' });

export type ContainerObject = z.output<typeof containerSchema>;

export const deletedContainerSchema = z
  .object({ id: z.string(), object: z.literal('container.deleted'), deleted: z.literal(true) })
  .meta({ id: 'DeletedContainer' });

export const addFileByIdSchema = z
  .strictObject({ file_id: z.string().min(1).max(64) })
  .meta({ id: 'AddContainerFileRequest' });

export const containerFileSchema = z
  .object({
    id: z.string(),
    object: z.literal('container.file'),
    container_id: z.string(),
    created_at: z.int(),
    bytes: z.int(),
    path: z.string(),
    source: z.enum(['user', 'assistant']),
  })
  .meta({ id: 'ContainerFile' });

export type ContainerFileObject = z.output<typeof containerFileSchema>;

export const deletedContainerFileSchema = z
  .object({ id: z.string(), object: z.literal('container.file.deleted'), deleted: z.literal(true) })
  .meta({ id: 'DeletedContainerFile' });
