/**
 * Every table has an owner: the feature whose repositories alone name it. Others ask that feature, through its
 * service or a port. A statement or transaction that has to touch two owners' tables at once is listed with the reason.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
const SRC = join(ROOT, 'orchestrator/src');

const OWNERS: Readonly<Record<string, string>> = {
  Project: 'admin',
  ApiKey: 'auth',
  Blob: 'storage',
  FreedBlob: 'storage',
  StorageEntry: 'storage',
  Setting: 'storage',
  File: 'files',
  FileLink: 'links',
  Upload: 'uploads',
  UploadPart: 'uploads',
  Container: 'containers',
  ContainerFile: 'containers',
  Execution: 'containers',
  Response: 'responses',
  ResponseItem: 'responses',
  ResponseEvent: 'responses',
  InlineContent: 'responses',
  Conversation: 'conversations',
  ConversationItem: 'conversations',
  WebhookEndpoint: 'webhooks',
  WebhookDelivery: 'webhooks',
  WebhookAttempt: 'webhooks',
  IdempotencyKey: 'idempotency',
};

interface Shared {
  readonly file: string;
  readonly tables: readonly string[];
  readonly why: string;
}

const SHARED: readonly Shared[] = [
  {
    file: 'auth/api-key.repository.ts',
    tables: ['Project'],
    why: 'The configured key and its project are made in one transaction, before anybody asks.',
  },
  {
    file: 'containers/container.repository.ts',
    tables: ['Project'],
    why: 'The size of the memory pool is read under the lock that admits a container to it.',
  },
  {
    file: 'conversations/conversation.repository.ts',
    tables: ['InlineContent', 'Response'],
    why:
      'Whether the response that holds a lock still runs is part of the statement that takes the lock; content ' +
      'that came within an item is counted and removed with the item.',
  },
  {
    file: 'links/link.repository.ts',
    tables: ['Project'],
    why: 'The statement that follows a link reads whether its project allows links, so that switching them off holds at once.',
  },
  {
    file: 'outbox/outbox.repository.ts',
    tables: ['WebhookDelivery', 'WebhookEndpoint'],
    why: 'Deliveries are written in the transaction of what they tell of; the outbox is below all features.',
  },
  {
    file: 'responses/record/response-end.repository.ts',
    tables: ['Conversation', 'ConversationItem'],
    why: 'A response ends, adds its turn and unlocks the conversation in one transaction.',
  },
  {
    file: 'retention/project-removal.repository.ts',
    tables: [
      ...['ApiKey', 'Container', 'ContainerFile', 'Conversation', 'ConversationItem', 'Execution', 'File'],
      ...[
        'FileLink',
        'IdempotencyKey',
        'InlineContent',
        'Project',
        'Response',
        'ResponseEvent',
        'ResponseItem',
        'Upload',
        'UploadPart',
      ],
      ...['WebhookAttempt', 'WebhookDelivery', 'WebhookEndpoint'],
    ],
    why: 'A deleted project is taken out of all tables, in an order that goes across the features.',
  },
  {
    file: 'storage/blob.repository.ts',
    tables: ['ContainerFile', 'File', 'InlineContent', 'UploadPart'],
    why: 'Content is removed by the statement that sees that no row refers to it.',
  },
  {
    file: 'storage/storage-account.repository.ts',
    tables: ['ContainerFile', 'File', 'InlineContent', 'Project', 'UploadPart'],
    why: 'Triggers of these tables keep the account; it is compared with them, and the quota is read with it.',
  },
  {
    file: 'uploads/upload.repository.ts',
    tables: ['File'],
    why: 'An upload is completed and becomes a file in one transaction.',
  },
  {
    file: 'webhooks/endpoints/webhook-endpoint.repository.ts',
    tables: ['Project'],
    why: 'The version of the secret for callbacks is a column of the project, and counts up in place.',
  },
];

const isShared = (file: string, table: string): boolean =>
  SHARED.some((each) => each.file === file && each.tables.includes(table));

/** Tables that a source names: as a property of a client, or between quotes, as SQL writes them. */
function tablesOf(source: string, models: readonly string[]): string[] {
  const code = source.replaceAll(/\/\*.*?\*\/|\/\/[^\n]*/gs, '');
  return models.filter((model) => {
    const property = `${model[0]!.toLowerCase()}${model.slice(1)}`;
    return new RegExp(`\\b(?:prisma|tx|client|db)\\s*\\.${property}\\s*\\.|["']${model}["']`).test(code);
  });
}

/** What a file names and neither owns nor shares. `file` is relative to orchestrator/src. */
const offences = (file: string, source: string): string[] =>
  tablesOf(source, Object.keys(OWNERS))
    .filter((table) => OWNERS[table] !== file.split('/')[0] && !isShared(file, table))
    .map((table) => `${file} names "${table}", a table of ${OWNERS[table]}/`);

async function repositories(): Promise<Map<string, string>> {
  const names = await readdir(SRC, { recursive: true });
  const files = names.filter((name) => name.endsWith('.repository.ts')).toSorted();
  return new Map(
    await Promise.all(
      files.map(
        async (name): Promise<[string, string]> => [
          relative(SRC, join(SRC, name)),
          await readFile(join(SRC, name), 'utf8'),
        ],
      ),
    ),
  );
}

const schema = await readFile(join(ROOT, 'prisma/schema.prisma'), 'utf8');
const sources = await repositories();

describe('the owners of tables', () => {
  it('are known for every table', () => {
    const models = [...schema.matchAll(/^model (\w+)/gm)].map(([, model]) => model!);
    expect(Object.keys(OWNERS).toSorted()).toEqual(models.toSorted());
    expect(schema).not.toContain('@@map');
  });

  it('are the only ones to name them', () => {
    expect(sources.size).toBeGreaterThan(20);
    expect([...sources].flatMap(([file, source]) => offences(file, source))).toEqual([]);
  });

  it('share them where the list says so, and nowhere else', () => {
    for (const { file, tables, why } of SHARED) {
      const named = tablesOf(sources.get(file) ?? '', Object.keys(OWNERS));
      const foreign = named.filter((table) => OWNERS[table] !== file.split('/')[0]);
      expect(foreign.toSorted(), file).toEqual(tables.toSorted());
      expect(why).toMatch(/\w{3}.*\.$/);
    }
  });

  it.each([
    ['a client', 'return this.prisma.container.count();'],
    ['a transaction', 'await tx.container\n.findMany({});'],
    ['SQL', 'return sql`SELECT 1 FROM "Container" c`;'],
    ['a name that SQL is made of', "const table = 'Container';"],
  ])('are told of a stranger who names one through %s', (_how, source) => {
    expect(offences('admin/inventory.repository.ts', source)).toEqual([
      'admin/inventory.repository.ts names "Container", a table of containers/',
    ]);
    expect(offences('containers/container.repository.ts', source)).toEqual([]);
  });

  it('do not mind a comment', () => {
    expect(offences('admin/x.repository.ts', '/** Not "Container". */ // nor tx.container.x')).toEqual([]);
  });
});
