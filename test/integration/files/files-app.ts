/** The Files and Uploads features on a real PostgreSQL, behind the real HTTP stack on a real port. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { AuthModule } from '../../../orchestrator/src/auth/auth.module.js';
import { AuthService } from '../../../orchestrator/src/auth/auth.service.js';
import { ConfigModule } from '../../../orchestrator/src/config/config.module.js';
import { parseEnv } from '../../../orchestrator/src/config/env.js';
import { DatabaseModule } from '../../../orchestrator/src/database/database.module.js';
import { PrismaService } from '../../../orchestrator/src/database/prisma.service.js';
import {
  ContainerFileLookup,
  type ContainerFileView,
} from '../../../orchestrator/src/files/container-file.lookup.js';
import { FilesModule } from '../../../orchestrator/src/files/files.module.js';
import { createApp } from '../../../orchestrator/src/http/create-app.js';
import { IdempotencyModule } from '../../../orchestrator/src/idempotency/idempotency.module.js';
import { LoggingModule } from '../../../orchestrator/src/observability/logging.module.js';
import { StorageModule } from '../../../orchestrator/src/storage/storage.module.js';
import { UploadsModule } from '../../../orchestrator/src/uploads/uploads.module.js';
import { freshDatabase, type TestDatabase } from '../../support/postgres.js';

export interface FilesApp {
  readonly app: NestFastifyApplication;
  readonly prisma: PrismaService;
  readonly baseURL: string;
  readonly blobDir: string;
  /** Keys of two projects that must not see each other's files. */
  readonly keys: { readonly first: string; readonly other: string };
  /** What containers would hold: `projectId/id` → file. */
  readonly containerFiles: Map<string, ContainerFileView>;
  stop(): Promise<void>;
}

class FilesTestModule {}

async function makeKey(
  app: NestFastifyApplication,
  prisma: PrismaService,
  projectId: string,
): Promise<string> {
  await prisma.project.create({ data: { id: projectId, name: projectId } });
  return (await app.get(AuthService).createKey(projectId, 'test')).secret;
}

export async function startFilesApp(overrides: Readonly<Record<string, string>> = {}): Promise<FilesApp> {
  const dir = await mkdtemp(join(tmpdir(), 'files-app-'));
  const database = await freshDatabase();
  try {
    return await boot(dir, database, overrides);
  } catch (error) {
    await database.drop();
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

async function boot(
  dir: string,
  database: TestDatabase,
  overrides: Readonly<Record<string, string>>,
): Promise<FilesApp> {
  const env = parseEnv({ DATA_DIR: dir, LOG_LEVEL: 'error', ...overrides });
  const blobDir = join(dir, 'content');
  const containerFiles = new Map<string, ContainerFileView>();
  const lookup: ContainerFileLookup = {
    find: (projectId, id) => Promise.resolve(containerFiles.get(`${projectId}/${id}`) ?? null),
    listMade: () => Promise.resolve([]),
    seqOfMade: () => Promise.resolve(null),
  };
  const root = {
    module: FilesTestModule,
    global: true,
    imports: [
      ConfigModule.forRoot(env),
      LoggingModule.forRoot(env),
      DatabaseModule.forRoot({ url: database.url }),
      StorageModule.forRoot({ dir: blobDir }),
      AuthModule,
      IdempotencyModule,
      FilesModule,
      UploadsModule,
    ],
    providers: [{ provide: ContainerFileLookup, useValue: lookup }],
    exports: [ContainerFileLookup],
  };
  const app = await createApp(root, env);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.getHttpServer().address() as AddressInfo;
  const prisma = app.get(PrismaService);
  return {
    app,
    prisma,
    baseURL: `http://127.0.0.1:${port}/v1`,
    blobDir,
    keys: {
      first: await makeKey(app, prisma, 'proj_first'),
      other: await makeKey(app, prisma, 'proj_other'),
    },
    containerFiles,
    stop: async () => {
      await app.close();
      await database.drop();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
