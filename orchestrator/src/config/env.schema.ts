/**
 * Every variable the server reads: one schema, one sentence, one unit. `docs/configuration.md` is
 * generated from this file (`npm run docs`).
 */
import { z } from 'zod';
import { modelNames, modelProviders } from './model-providers.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

const UNITS: Readonly<Record<string, number>> = { '': 1, k: KIB, m: MIB, g: GIB };

/** `512m`, `2g`, `1048576` → bytes. */
export function parseBytes(text: string): number {
  const match = /^(\d+)\s*([kmg]?)(?:i?b)?$/i.exec(text.trim());
  if (!match) return Number.NaN;
  return Number(match[1]) * UNITS[match[2]!.toLowerCase()]!;
}

const bytes = (fallback: string, sentence: string, max = Number.MAX_SAFE_INTEGER) =>
  z
    .string()
    .default(fallback)
    .transform(parseBytes)
    .refine((value) => Number.isSafeInteger(value) && value >= 0, 'expected a size such as 512m or 2g')
    .refine((value) => value <= max, `expected ${max} bytes at most`)
    .meta({ description: sentence, unit: 'bytes (k, m, g allowed)', example: fallback });

const whole = (
  fallback: number,
  sentence: string,
  unit: string,
  bounds: { min?: number; max?: number } = {},
) =>
  z.coerce
    .number()
    .int()
    .min(bounds.min ?? 0)
    .max(bounds.max ?? Number.MAX_SAFE_INTEGER)
    .default(fallback)
    .meta({ description: sentence, unit, example: String(fallback) });

const flag = (fallback: boolean, sentence: string) =>
  z
    .enum(['0', '1', 'true', 'false'])
    .default(fallback ? '1' : '0')
    .transform((value) => value === '1' || value === 'true')
    .meta({ description: sentence, unit: '0 or 1', example: fallback ? '1' : '0' });

const text = (sentence: string, unit = 'text') =>
  z.string().min(1).optional().meta({ description: sentence, unit });

const word = (fallback: string, sentence: string, unit = 'text') =>
  z.string().min(1).default(fallback).meta({ description: sentence, unit, example: fallback });

const moduleNames = (fallback: string, sentence: string) =>
  z
    .string()
    .default(fallback)
    .refine(
      (value) => value === 'none' || /^[A-Za-z_]\w*(?:[.,][A-Za-z_]\w*)*$/.test(value),
      'expected names such as numpy,pandas, or none',
    )
    .transform((value) => (value === 'none' ? [] : value.split(',')))
    .meta({ description: sentence, unit: 'Python modules, or none', example: fallback });

export const MEMORY_SIZES = ['1g', '4g', '16g', '64g'] as const;
export type MemorySize = (typeof MEMORY_SIZES)[number];

const poolSizes = z
  .string()
  .default('1g=2')
  .transform((value, context) => {
    const sizes: Record<MemorySize, number> = { '1g': 0, '4g': 0, '16g': 0, '64g': 0 };
    for (const part of value.split(',').filter((each) => each.trim() !== '')) {
      const match = /^\s*(1g|4g|16g|64g)\s*=\s*(\d{1,3})\s*$/.exec(part);
      if (!match) {
        context.addIssue({ code: 'custom', message: `expected entries such as 1g=2, got '${part.trim()}'` });
        return z.NEVER;
      }
      sizes[match[1] as MemorySize] = Number(match[2]);
    }
    return sizes;
  })
  .meta({
    description:
      'Warm sandboxes kept ready for each memory size; with any, also one of each other size for an hour after its use.',
    unit: 'size=count, comma separated',
    example: '1g=2',
  });

export const envSchema = z.object({
  HOST: word('127.0.0.1', 'Address the server listens on; 0.0.0.0 for all.', 'IP address'),
  PORT: whole(3000, 'TCP port the server listens on; 0 picks a free one.', 'port', { max: 65_535 }),
  API_PREFIX: word('v1', 'Path prefix of the API, without slashes at the ends.', 'path'),
  PUBLIC_URL: text(
    'Base URL under which clients reach this server, if it differs from HOST and PORT.',
    'URL',
  ),
  DATA_DIR: word(
    './data',
    'Folder for everything that must survive a restart: database, blobs, keys.',
    'path',
  ),
  LOG_LEVEL: z
    .enum(['silent', 'error', 'warn', 'info', 'debug', 'trace'])
    .default('info')
    .meta({ description: 'Least severe log line that is written.', unit: 'level', example: 'info' }),
  LOG_FORMAT: z.enum(['json', 'text']).default('json').meta({
    description: 'One JSON object a line, or one readable line each.',
    unit: 'format',
    example: 'json',
  }),

  DATABASE_URL: text(
    'PostgreSQL server to use; when absent the embedded one under DATA_DIR is started.',
    'postgresql:// URL',
  ),
  DATABASE_POOL_SIZE: whole(
    10,
    'Most connections to PostgreSQL for requests and jobs; the queues and the lock of the process take about a dozen more.',
    'count',
    { min: 2, max: 500 },
  ),
  REDIS_URL: text(
    'Redis server for the job queues; when absent the queues live in PostgreSQL.',
    'redis:// URL',
  ),

  API_KEY: text(
    'Key of the first project; when absent one is made at first start and kept in DATA_DIR/api-key.',
    'secret',
  ),
  ADMIN_KEY: text(
    'Key of the admin API; when absent one is made at first start and kept in DATA_DIR/admin-key.',
    'secret',
  ),
  SECRETS_KEY: text(
    'Encrypts the secrets of webhooks in the database, and compaction items; when absent one is made at first start and kept in DATA_DIR/secrets-key.',
    'secret',
  ),
  METRICS_PUBLIC: flag(false, 'Answer GET /metrics without a key; otherwise it needs the admin key.'),

  DOCKER_HOST: text(
    'Docker engine on this host that runs the sandboxes; when absent the default socket.',
    'unix:// URL',
  ),
  SANDBOX_RUNTIME: word(
    'code-interpreter',
    'OCI runtime of the sandboxes: our wrapper around runsc, or runsc itself.',
    'runtime name',
  ),
  SANDBOX_IMAGE: word(
    'code-interpreter-sandbox:latest',
    'Image the sandboxes start from.',
    'image reference',
  ),
  SANDBOX_CHANNEL_DIR: text(
    'Folder for the sandboxes’ sockets and data disks; when absent DATA_DIR/sandboxes.',
    'path',
  ),
  SANDBOX_CLONES: flag(
    true,
    'Make sandboxes from the image of a warm one, in half a second, where gVisor and the engine can.',
  ),
  SANDBOX_TEMPLATE_DIR: text(
    'Folder for that image, 125 MB; several servers may share one. When absent DATA_DIR/templates.',
    'path',
  ),
  ALLOW_INSECURE_SANDBOX: flag(
    false,
    'Start although the runtime is not gVisor. Code then shares the host kernel: for trusted code only.',
  ),
  SANDBOX_POOL: poolSizes,
  SANDBOX_PARALLEL_STARTS: z.coerce.number().int().min(1).max(64).optional().meta({
    description: 'Sandboxes that may start at the same time; when absent as many as the host has CPUs.',
    unit: 'count',
  }),
  SANDBOX_QUEUE_MS: whole(
    120_000,
    'Longest a request waits in line for a sandbox, by turns with other projects, before it gets 503.',
    'milliseconds',
    { min: 1000 },
  ),
  SANDBOX_START_TIMEOUT_MS: whole(60_000, 'Longest a sandbox may take to become ready.', 'milliseconds', {
    min: 1000,
  }),
  SANDBOX_PRELOAD: moduleNames(
    'numpy,pandas,matplotlib.pyplot',
    'What Python has imported when a sandbox is ready. With none a sandbox takes a third of the time to start and less memory, and the first import of each takes a second or two.',
  ),
  SANDBOX_DATA_BYTES: bytes('2g', 'Size limit of /mnt/data in one container.'),
  SANDBOX_MAX_FILES: whole(10_000, 'Most files kept for one container.', 'count', { min: 1 }),
  SANDBOX_MAX_PROCESSES: whole(128, 'Most processes and threads of user code in one sandbox.', 'count', {
    min: 16,
  }),
  SANDBOX_HEADROOM_BYTES: bytes(
    '256m',
    'Memory above the container’s size that the host grants a sandbox for gVisor and the supervisor.',
  ),
  SANDBOX_CPUS: z.coerce.number().positive().optional().meta({
    description: 'CPUs one sandbox may use; when absent all but half of one, as long as no other wants them.',
    unit: 'CPUs',
  }),
  SANDBOX_CGROUP_PARENT: text(
    'cgroup below which all sandboxes share limits of memory and CPU; when absent /code-interpreter, and with an engine on systemd the engine’s own. There name a slice of yours.',
    'path or slice',
  ),
  CONTAINER_MAX_IDLE_MINUTES: whole(
    20,
    'Longest time without use after which a container may ask to expire. 20 is what OpenAI allows; an idle container that sleeps costs some megabytes of disk.',
    'minutes',
    { min: 1, max: 10_080 },
  ),
  HIBERNATE_AFTER_SECONDS: whole(
    60,
    'Seconds without use after which a container’s sandbox is written to disk with its variables and ended; the next use wakes it. 0: never.',
    'seconds',
    { max: 86_400 },
  ),
  HIBERNATE_LARGEST_BYTES: bytes(
    '1g',
    'A sandbox whose memory and files take more stays awake, and is given up when memory is short.',
  ),
  HIBERNATE_DISK_BYTES: bytes(
    '20g',
    'What sleeping sandboxes may take on disk together. Beyond it those that were used longest ago lose their variables, not their files.',
  ),
  SANDBOXES_AT_STOP: z.enum(['keep', 'remove']).default('keep').meta({
    description:
      'What an orderly stop does with the sandboxes of running containers: keep them running, or remove them, which puts those to sleep that can. Either way the next start finds their variables. npm start removes them when it stops its own engine.',
    unit: 'keep or remove',
    example: 'keep',
  }),
  MEMORY_FLOOR_BYTES: bytes(
    '1g',
    'Free memory of the host below which no sandbox is started, spare and idle ones are given up, and at half of which running ones meet their limit.',
  ),
  MEMORY_POOL_BYTES: bytes(
    '64g',
    'Memory a project’s running containers may add up to, counted by their sizes, unless the project has its own quota.',
  ),

  EXECUTION_TIMEOUT_MS: whole(
    120_000,
    'Wall time one execution may take if the request says nothing.',
    'milliseconds',
    { min: 100 },
  ),
  EXECUTION_MAX_TIMEOUT_MS: whole(3_600_000, 'Longest wall time a request may ask for.', 'milliseconds', {
    min: 100,
  }),
  EXECUTION_MAX_OUTPUT_BYTES: bytes(
    '1m',
    'Output kept of one execution; the middle of longer output is cut, with a note.',
  ),
  EXECUTION_MAX_IMAGES: whole(20, 'Images kept of one execution.', 'count'),
  EXECUTION_MAX_IMAGE_BYTES: bytes('10m', 'Largest image kept.'),
  EXECUTION_MAX_VALUE_BYTES: bytes('8m', 'Longest JSON that code may give back as a value.', 67_108_864),

  STORAGE_QUOTA_BYTES: bytes(
    '100g',
    'Bytes a project may store: files, parts of uploads, files in containers and files inside stored requests, unless it has its own quota; 0 for no limit.',
  ),
  DISK_FLOOR_BYTES: bytes(
    '1g',
    'Free bytes of the disks under DATA_DIR below which nothing is stored any more; 0 for no floor.',
  ),
  MAX_FILE_BYTES: bytes('512m', 'Largest single upload.'),
  MAX_UPLOAD_BYTES: bytes('8g', 'Largest upload in parts.'),
  MAX_BODY_BYTES: bytes(
    '33m',
    'Largest JSON body of a request that may hold files or code; others may have 1 MiB.',
  ),
  BODIES_TOTAL_BYTES: bytes(
    '144m',
    'JSON bodies above 64 KiB that are read at the same time; more wait their turn, and a key may have half of it.',
  ),
  MAX_CONNECTIONS: whole(10_000, 'Connections of clients that may be open at the same time.', 'count', {
    min: 1,
  }),
  BODY_IDLE_MS: whole(
    30_000,
    'Silence in the middle of a request body after which it is refused with 408.',
    'milliseconds',
    { min: 100 },
  ),
  READER_IDLE_MS: whole(
    60_000,
    'Time in which a client takes nothing of a reply that lies ready, after which its connection is cut.',
    'milliseconds',
    { min: 100 },
  ),

  OPENAI_BASE_URL: z
    .url({ protocol: /^https?$/, error: 'expected a URL that begins with http:// or https://' })
    .optional()
    .meta({
      description: 'Model endpoint of the simple form; when only OPENAI_API_KEY is set, OpenAI’s own.',
      unit: 'URL',
    }),
  OPENAI_API_KEY: text('Key for OPENAI_BASE_URL; none when absent.', 'secret'),
  MODELS: modelNames.meta({
    description: 'Models of OPENAI_BASE_URL; when absent everything the endpoint lists.',
    unit: 'names, comma separated',
  }),
  MODEL_PROVIDERS: modelProviders.meta({
    description: 'Several model endpoints, or one with settings: see docs/models.md.',
    unit: 'JSON list',
    example: '[]',
  }),
  MODEL_DEFAULT: text(
    'Model behind the name `default`; when absent, the first one that is configured: see docs/models.md.',
    'model name as in GET /v1/models',
  ),

  RATE_REQUESTS_PER_MINUTE: whole(
    60_000,
    'Requests each key may send in a minute, in bursts too, unless its project has its own limit; 0 for no limit.',
    'count',
  ),
  RATE_CONCURRENT_RUNS: whole(
    256,
    'Responses and executions of each key that run at the same time, unless its project has its own limit; 0 for no limit.',
    'count',
  ),

  WEBHOOK_ALLOW_PRIVATE: flag(
    false,
    'Call webhooks in private networks too; otherwise only public addresses, and loopback while HOST is loopback and PUBLIC_URL is not set.',
  ),
  WEBHOOK_MAX_ATTEMPTS: whole(
    8,
    'Times an event is sent to a receiver that does not take it: after 1 s, 5 s, 30 s, 2 min, 10 min, 1 h, 6 h, and then each day.',
    'count',
    { min: 1, max: 100 },
  ),
  WEBHOOK_TIMEOUT_MS: whole(10_000, 'Time a receiver of a webhook has to answer.', 'milliseconds', {
    min: 100,
    max: 60_000,
  }),
  WEBHOOK_MAX_ENDPOINTS: whole(100, 'Webhook endpoints one project may have.', 'count', { min: 1 }),

  CONTAINER_IDLE_MINUTES: whole(
    20,
    'Minutes without use after which an automatic container expires; others name their own, up to CONTAINER_MAX_IDLE_MINUTES.',
    'minutes',
    { min: 1, max: 10_080 },
  ),
  CONTAINER_TOMBSTONE_DAYS: whole(30, 'Days an expired container stays in lists.', 'days', { min: 1 }),
  RESPONSE_LEASE_SECONDS: whole(
    15,
    'Seconds after which a background response and the lock of a conversation are free when the server that had them died. It renews them three times in that time.',
    'seconds',
    { min: 1, max: 300 },
  ),
  RESPONSE_RETENTION_DAYS: whole(
    30,
    'Days a stored response, its executions and the files it cites are kept; 0 keeps them for ever.',
    'days',
  ),
  CONVERSATION_RETENTION_DAYS: whole(
    0,
    'Days a conversation is kept after its last use, with its items; 0 keeps them for ever.',
    'days',
  ),
  BLOB_GRACE_MINUTES: whole(
    60,
    'Minutes an unreferenced blob is kept before the clean-up removes it.',
    'minutes',
    { min: 1 },
  ),
  SWEEP_INTERVAL_MS: whole(
    30_000,
    'How often expired containers and orphaned sandboxes are swept.',
    'milliseconds',
    { min: 1000 },
  ),
  RETENTION_INTERVAL_MS: whole(
    600_000,
    'How often expired files, old responses and executions, and content that nobody needs are removed.',
    'milliseconds',
    { min: 1000 },
  ),
  SSE_KEEPALIVE_MS: whole(
    15_000,
    'Silence on a stream after which a keep-alive comment is sent.',
    'milliseconds',
    { min: 1000 },
  ),
});

export type Env = Readonly<z.output<typeof envSchema>>;
