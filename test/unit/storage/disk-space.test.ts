import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { DiskSpace } from '../../../orchestrator/src/storage/disk-space.js';
import { FsBlobStore } from '../../../orchestrator/src/storage/fs/fs-blob.store.js';

/** Disks whose free bytes the test sets; counts how often they are looked at. */
function disks(free: Record<string, number>, floorBytes: number) {
  const seen = { looks: 0 };
  const space = new DiskSpace(Object.keys(free), floorBytes, (path) => {
    seen.looks += path === Object.keys(free)[0] ? 1 : 0;
    return Promise.resolve(free[path]!);
  });
  return { space, seen };
}

describe('DiskSpace', () => {
  it('refuses what would leave less than the floor on the fullest disk', async () => {
    const free = { '/blobs': 10_000, '/database': 1_500 };
    const { space } = disks(free, 1_000);
    await space.claim(400);
    free['/database'] = 1_100;
    await expect(space.claim(101)).rejects.toMatchObject({ code: 'storage_full', status: 507 });
    free['/database'] = 900;
    expect(await space.state()).toEqual({ freeBytes: 900, floorBytes: 1_000, isLow: true });
    await expect(space.claim(0)).rejects.toMatchObject({ code: 'storage_full' });
    free['/database'] = 5_000;
    await space.claim(4_000);
  });

  it('counts what was let through until the disks are looked at again', async () => {
    const free = { '/blobs': 1_000 };
    const { space, seen } = disks(free, 100);
    for (let each = 0; each < 9; each += 1) await space.claim(100);
    expect(seen.looks).toBe(1);
    free['/blobs'] = 100;
    const many = await Promise.allSettled(Array.from({ length: 20 }, () => space.claim(100)));
    expect(many.every((each) => each.status === 'rejected')).toBe(true);
  });

  it('without a floor asks nothing', async () => {
    const { space, seen } = disks({ '/blobs': 0 }, 0);
    await space.claim(1_000_000);
    expect(seen.looks).toBe(0);
  });

  it('knows the disk of a folder that is not there yet', async () => {
    const { freeBytes } = await new DiskSpace([join(tmpdir(), 'not', 'there', 'yet')], 0).state();
    expect(freeBytes).toBeGreaterThan(0);
  });

  it('ends a write in the middle and leaves nothing behind', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'floor-'));
    try {
      const looks = [300_000, 120_000];
      const space = new DiskSpace([dir], 100_000, () => Promise.resolve(looks.shift() ?? 120_000));
      const store = new FsBlobStore(dir, space);
      await store.onModuleInit();
      const chunks = Array.from({ length: 10 }, () => Buffer.alloc(50_000, 'x'));
      await expect(store.stage(Readable.from(chunks))).rejects.toMatchObject({ code: 'storage_full' });
      expect(await readdir(join(dir, 'staging'))).toEqual([]);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
});
