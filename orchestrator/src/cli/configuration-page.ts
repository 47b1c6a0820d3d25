/** docs/configuration.md as text, made of the schema that the server itself reads. */
import { z } from 'zod';
import { envSchema } from '../config/env.schema.js';

interface Group {
  readonly title: string;
  readonly intro?: string;
  readonly matches: RegExp;
}

/** In the order of the page. Each variable belongs to the first group it matches. */
const GROUPS: readonly Group[] = [
  {
    title: 'Server',
    matches: /^(HOST|PORT|API_PREFIX|PUBLIC_URL|DATA_DIR|LOG_|TRUST_)/,
  },
  {
    title: 'Keys',
    intro:
      'Every request carries a key. The ones the first start makes are files that only their owner can read.',
    matches: /^(API|ADMIN|SECRETS)_KEY$/,
  },
  {
    title: 'Database and queues',
    intro: 'Nothing to set up: without these a PostgreSQL of our own runs under `DATA_DIR`.',
    matches: /^(DATABASE|REDIS)_/,
  },
  {
    title: 'Sandboxes',
    intro: '`npm start` fills in the engine, the runtime and the image that it set up.',
    matches: /^(DOCKER_HOST$|SANDBOX(ES)?_|ALLOW_INSECURE_SANDBOX$)/,
  },
  {
    title: 'Sleep',
    intro: 'Containers that nobody uses go to disk with their variables.',
    matches: /^HIBERNATE_/,
  },
  { title: 'Memory', matches: /^MEMORY_/ },
  { title: 'Storage', matches: /^(STORAGE|DISK)_/ },
  {
    title: 'Executions',
    intro: 'What one run of code may do. Each limit that cuts something says so in the result.',
    matches: /^EXECUTION_/,
  },
  { title: 'Models', matches: /^(LLM|MODEL|PROVIDER|OPENAI)/ },
  { title: 'Sizes and pace of requests', matches: /^(MAX|BODIES|BODY|READER)_/ },
  {
    title: 'Time and retention',
    matches: /^(CONTAINER_|RESPONSE_|CONVERSATION_|BLOB_|SWEEP_|RETENTION_|SSE_)/,
  },
  { title: 'Rates', matches: /^RATE_/ },
  { title: 'Webhooks', matches: /^WEBHOOK/ },
  { title: 'Observability', matches: /^(METRICS|TRAC|OTEL)/ },
  { title: 'Everything else', matches: /^/ },
];

interface Row {
  readonly name: string;
  readonly sentence: string;
  readonly unit: string;
  readonly fallback: string;
  readonly allowed: string;
}

interface Shape {
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
}

function allowedOf(schema: z.ZodType): string {
  const shape = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Shape;
  if (shape.enum) return shape.enum.map((value) => `\`${value}\``).join(' ');
  const least = shape.minimum ?? 0;
  const most = shape.maximum ?? Number.MAX_SAFE_INTEGER;
  if (shape.exclusiveMinimum !== undefined) return `> ${shape.exclusiveMinimum}`;
  if (most < Number.MAX_SAFE_INTEGER) return `${least}–${most}`;
  return least > 0 ? `≥ ${least}` : '';
}

function rowOf(name: string, schema: z.ZodType): Row {
  const { description, unit, example } = (schema.meta() ?? {}) as Readonly<Record<string, unknown>>;
  if (typeof description !== 'string' || typeof unit !== 'string') {
    throw new Error(`${name} in env.schema.ts needs a sentence and a unit`);
  }
  const hasDefault = schema.safeParse(undefined).success && typeof example === 'string';
  const fallback = hasDefault ? `\`${example}\`` : '';
  return { name, sentence: description, unit, fallback, allowed: allowedOf(schema) };
}

const escape = (text: string): string => text.replaceAll('|', '\\|');

function table(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ name, sentence, unit, fallback, allowed }) =>
      `| \`${name}\` | ${escape(sentence)} | ${escape(unit)} | ${fallback} | ${allowed} |`,
  );
  return [
    '| Variable | What it does | Unit | Default | Allowed |',
    '| --- | --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

const INTRO = `# Configuration

<!-- Made by \`npm run docs\` from orchestrator/src/config/env.schema.ts. Change that file. -->

The server is configured by environment variables, or by lines \`NAME=value\` in a file \`.env\` beside
\`package.json\`, which \`npm start\` reads; the environment wins. Every variable has a default or may be
absent, so an empty configuration works.

Any of them may come from a file: \`API_KEY_FILE=/run/secrets/api-key\` reads \`API_KEY\` from there. An empty
value counts as absent. The server refuses to start on a wrong value and names all of them at once.

Sizes take \`k\`, \`m\` and \`g\`, in powers of 1024.
`;

export function configurationPage(): string {
  const names = Object.keys(envSchema.shape) as (keyof typeof envSchema.shape)[];
  const rows = names.map((name) => rowOf(name, envSchema.shape[name]));
  const groupOf = (row: Row): Group => GROUPS.find((group) => group.matches.test(row.name))!;
  const sections = GROUPS.map((group) => {
    const own = rows.filter((row) => groupOf(row) === group);
    if (own.length === 0) return '';
    return `\n## ${group.title}\n${group.intro ? `\n${group.intro}\n` : ''}\n${table(own)}\n`;
  });
  return INTRO + sections.join('');
}
