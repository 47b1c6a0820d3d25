/** What projects store is counted exactly, whatever adds and removes rows, and its quota is held. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { StorageAccountRepository } from '../../../orchestrator/src/storage/storage-account.repository.js';
import { StorageBudget } from '../../../orchestrator/src/storage/storage-budget.js';
import { type FilesApp, startFilesApp } from '../files/files-app.js';

const QUOTA = 1_000;
const PROJECT = 'proj_first';

let app: FilesApp;
let budget: StorageBudget;
let accounts: StorageAccountRepository;

beforeAll(async () => {
  app = await startFilesApp({ STORAGE_QUOTA_BYTES: String(QUOTA) });
  budget = app.app.get(StorageBudget, { strict: false });
  accounts = app.app.get(StorageAccountRepository, { strict: false });
});
afterAll(() => app.stop());
beforeEach(async () => {
  const { prisma } = app;
  await prisma.file.deleteMany();
  await prisma.upload.deleteMany();
  await prisma.container.deleteMany();
  await prisma.project.updateMany({ data: { storageQuotaBytes: null } });
});

let made = 0;
async function blob(bytes: number): Promise<string> {
  const sha256 = createHash('sha256')
    .update(`blob ${(made += 1)}`)
    .digest('hex');
  await app.prisma.blob.create({ data: { sha256, bytes: BigInt(bytes) } });
  return sha256;
}

async function file(bytes: number, sha256?: string, projectId = PROJECT): Promise<string> {
  const id = `file-${(made += 1)}`;
  const blobSha256 = sha256 ?? (await blob(bytes));
  await app.prisma.file.create({
    data: { id, projectId, filename: 'f', purpose: 'user_data', bytes: BigInt(bytes), blobSha256 },
  });
  return id;
}

async function container(id: string): Promise<void> {
  await app.prisma.container.create({
    data: {
      id,
      projectId: PROJECT,
      name: id,
      memoryLimit: '1g',
      memoryBytes: 1n,
      idleMinutes: 20,
      networkPolicy: {},
    },
  });
}

async function containerFile(containerId: string, bytes: number): Promise<string> {
  const id = `cfile_${(made += 1)}`;
  await app.prisma.containerFile.create({
    data: {
      id,
      containerId,
      projectId: PROJECT,
      path: `/mnt/data/${id}`,
      bytes: BigInt(bytes),
      blobSha256: await blob(bytes),
      source: 'assistant',
    },
  });
  return id;
}

const used = async (projectId = PROJECT) => (await accounts.read(projectId)).usedBytes;
const freed = async () =>
  (await app.prisma.freedBlob.findMany({ orderBy: { key: 'asc' } })).map((row) => row.sha256);

describe('what is stored', () => {
  it('follows files, parts and container files in and out, one for each row', async () => {
    const shared = await blob(100);
    await file(100, shared);
    await file(100, shared);
    await file(50, undefined, 'proj_other');
    expect([await used(), await used('proj_other')]).toEqual([200, 50]);

    await container('cntr_a');
    const one = await containerFile('cntr_a', 30);
    await containerFile('cntr_a', 40);
    expect(await used()).toBe(270);
    await app.prisma.containerFile.update({
      where: { id: one },
      data: { bytes: 35n, blobSha256: await blob(35) },
    });
    expect(await used()).toBe(275);

    await app.prisma.upload.create({
      data: {
        id: 'upload_a',
        projectId: PROJECT,
        filename: 'f',
        purpose: 'user_data',
        mimeType: 't',
        bytes: 7n,
        expiresAt: new Date(Date.now() + 60_000),
      },
    });
    await app.prisma.uploadPart.create({
      data: { id: 'part_a', uploadId: 'upload_a', projectId: PROJECT, bytes: 7n, blobSha256: await blob(7) },
    });
    expect(await used()).toBe(282);
    await app.prisma.upload.delete({ where: { id: 'upload_a' } });
    expect(await used()).toBe(275);
    await app.prisma.file.deleteMany({ where: { projectId: PROJECT } });
    await app.prisma.container.delete({ where: { id: 'cntr_a' } });
    expect([await used(), await used('proj_other')]).toEqual([0, 50]);
  });

  it('lets go of the content of a deleted container file, and takes it in again with the path', async () => {
    await container('cntr_b');
    const id = await containerFile('cntr_b', 60);
    const before = await app.prisma.containerFile.findUniqueOrThrow({ where: { id } });
    await app.prisma.containerFile.updateMany({ where: { id }, data: { deletedAt: new Date() } });
    expect(await used()).toBe(0);
    expect(await freed()).toContain(before.blobSha256);
    const after = await app.prisma.containerFile.findUniqueOrThrow({ where: { id } });
    expect(after.blobSha256).toBe(createHash('sha256').digest('hex'));
    await app.prisma.containerFile.update({
      where: { id },
      data: { deletedAt: null, bytes: 61n, blobSha256: await blob(61) },
    });
    expect(await used()).toBe(61);
  });

  it('is undone with a transaction that fails', async () => {
    await app.prisma
      .$transaction(async (tx) => {
        await tx.file.create({
          data: {
            id: 'file-undone',
            projectId: PROJECT,
            filename: 'f',
            purpose: 'p',
            bytes: 9n,
            blobSha256: await blob(9),
          },
        });
        throw new Error('undo');
      })
      .catch(() => undefined);
    expect(await used()).toBe(0);
  });

  it('stays exact when entries are folded beside writers, and heals when it was wrong', async () => {
    let writing = true;
    const folding = (async () => {
      while (writing) await accounts.fold(PROJECT);
    })();
    await Promise.all(
      Array.from({ length: 40 }, async (_, index) => {
        const id = await file(10);
        if (index % 2 === 0) await app.prisma.file.delete({ where: { id } });
      }),
    );
    writing = false;
    await folding;
    expect(await used()).toBe(200);
    expect(await accounts.reconcile()).toEqual([]);
    await app.prisma.storageEntry.create({ data: { projectId: PROJECT, bytes: 5_000n } });
    expect(await accounts.reconcile()).toEqual([PROJECT]);
    await accounts.foldAll();
    expect(await used()).toBe(200);
    expect(await app.prisma.storageEntry.count({ where: { projectId: PROJECT } })).toBe(1);
  });
});

describe('the quota', () => {
  it('refuses what does not fit, and takes it after a delete', async () => {
    const id = await file(900);
    await budget.admit(PROJECT, 100);
    expect(await budget.room(PROJECT)).toBe(100);
    await expect(budget.admit(PROJECT, 101)).rejects.toMatchObject({
      code: 'storage_quota_exceeded',
      status: 400,
    });
    await app.prisma.file.delete({ where: { id } });
    await budget.admit(PROJECT, QUOTA);
  });

  it('is a project’s own where it has one; 0 is none', async () => {
    await app.prisma.project.update({ where: { id: PROJECT }, data: { storageQuotaBytes: 10n } });
    await expect(budget.admit(PROJECT, 11)).rejects.toMatchObject({ code: 'storage_quota_exceeded' });
    await budget.admit('proj_other', QUOTA);
    await app.prisma.project.update({ where: { id: PROJECT }, data: { storageQuotaBytes: 0n } });
    expect(await budget.room(PROJECT)).toBe(Number.POSITIVE_INFINITY);
  });

  it('counts what is on its way in, of many at once too', async () => {
    const grants = Array.from({ length: 20 }, () => budget.open(PROJECT));
    const taken = await Promise.allSettled(grants.map((grant) => grant.take(100)));
    expect(taken.filter((each) => each.status === 'fulfilled')).toHaveLength(10);
    expect(await budget.room(PROJECT)).toBe(0);
    await file(100);
    for (const grant of grants) grant.release();
    expect(await budget.room(PROJECT)).toBe(900);
  });
});
