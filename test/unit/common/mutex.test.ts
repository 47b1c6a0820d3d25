import { describe, expect, it } from 'vitest';
import { KeyedMutex, Semaphore } from '../../../orchestrator/src/common/mutex.js';

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('KeyedMutex', () => {
  it('lets one in per key, in the order of asking, and keys do not wait for each other', async () => {
    const mutex = new KeyedMutex();
    const seen: string[] = [];
    const work = (key: string, name: string) =>
      mutex.run(key, async () => {
        seen.push(`${name}+`);
        await tick();
        seen.push(`${name}-`);
      });
    await Promise.all([work('k', 'a'), work('k', 'b'), work('other', 'c')]);
    expect(seen.indexOf('a-')).toBeLessThan(seen.indexOf('b+'));
    expect(seen.indexOf('c+')).toBeLessThan(seen.indexOf('a-'));
  });

  it('goes on after a failure and forgets keys nobody wants', async () => {
    const mutex = new KeyedMutex();
    await expect(mutex.run('k', () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(mutex.isBusy('k')).toBe(false);
    await expect(mutex.run('k', async () => 1)).resolves.toBe(1);
  });

  it('releases once, however often it is told to', async () => {
    const mutex = new KeyedMutex();
    const first = await mutex.acquire('k');
    const second = mutex.acquire('k');
    first();
    first();
    const release = await second;
    expect(mutex.isBusy('k')).toBe(true);
    release();
    expect(mutex.isBusy('k')).toBe(false);
  });
});

describe('Semaphore', () => {
  it('never lets more than its limit in', async () => {
    const semaphore = new Semaphore(2);
    let inside = 0;
    let most = 0;
    const work = async () => {
      inside += 1;
      most = Math.max(most, inside);
      await tick();
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 9 }, () => semaphore.run(work)));
    expect(most).toBe(2);
    expect(semaphore.queued).toBe(0);
  });

  it('gives places out in order, and each back once, however often it is told to', async () => {
    const semaphore = new Semaphore(1);
    const first = await semaphore.take();
    const entered: string[] = [];
    const second = semaphore.take().then((release) => (entered.push('second'), release));
    const third = semaphore.run(async () => entered.push('third'));
    await tick();
    expect([entered, semaphore.queued]).toEqual([[], 2]);
    first();
    first();
    const release = await second;
    await tick();
    expect(entered).toEqual(['second']);
    release();
    await third;
    expect(entered).toEqual(['second', 'third']);
  });

  it('gives a place back after a failure', async () => {
    const semaphore = new Semaphore(1);
    await expect(semaphore.run(() => Promise.reject(new Error('x')))).rejects.toThrow('x');
    await expect(semaphore.run(async () => 1)).resolves.toBe(1);
  });
});
