import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  identify,
  isAlive,
  readIdentity,
  self,
  withFileLock,
  writeIdentity,
} from '../../../orchestrator/src/database/process-lock.js';

describe('a process', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'code-interpreter-lock-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it('is itself, and not another with its pid', async () => {
    const me = await self();
    expect(me.pid).toBe(process.pid);
    expect(await isAlive(me)).toBe(true);
    expect(await isAlive({ ...me, startedAt: 'another time' })).toBe(false);
  });

  it('is gone after it ended', async () => {
    const child = spawn('sleep', ['60']);
    const identity = await identify(child.pid!);
    expect(await isAlive(identity!)).toBe(true);
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(await isAlive(identity!)).toBe(false);
    expect(await identify(child.pid!)).toBeUndefined();
  });

  it('can be written down and read', async () => {
    const path = join(dir, 'owner');
    await writeIdentity(path, await self());
    expect(await readIdentity(path)).toEqual(await self());
    await writeFile(path, '12');
    expect(await readIdentity(path)).toBeUndefined();
  });

  it('waits for the lock of a live one', async () => {
    const order: string[] = [];
    const work = (name: string) =>
      withFileLock(join(dir, 'lock'), 5_000, async () => {
        order.push(`${name} in`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        order.push(`${name} out`);
      });
    await Promise.all([work('a'), work('b')]);
    expect(order.map((step) => step.slice(2))).toEqual(['in', 'out', 'in', 'out']);
  });

  it('takes over the lock of a dead one, and gives up on a live one in time', async () => {
    const path = join(dir, 'lock');
    await writeIdentity(path, { ...(await self()), startedAt: 'long ago' });
    expect(await withFileLock(path, 5_000, async () => 'done')).toBe('done');
    await writeIdentity(path, await self());
    await expect(withFileLock(path, 100, async () => 'done')).rejects.toThrow(
      /another process has held .*lock/,
    );
  });
});
