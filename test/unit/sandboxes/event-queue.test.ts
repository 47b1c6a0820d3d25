import { describe, expect, it } from 'vitest';
import { EventQueue } from '../../../orchestrator/src/sandboxes/docker/event-queue.js';

function make() {
  const told: boolean[] = [];
  let left = 0;
  const queue = new EventQueue<number>({
    slow: (isSlow) => void told.push(isSlow),
    abandoned: () => {
      left += 1;
      queue.end();
      return Promise.resolve();
    },
  });
  return { queue, told, left: () => left };
}

const MIB = 1_048_576;

describe('EventQueue', () => {
  it('gives everything in order, whether the reader comes first or last', async () => {
    const { queue } = make();
    queue.push(1, 1);
    const first = queue.next();
    const second = queue.next();
    queue.push(2, 1);
    queue.push(3, 1);
    queue.end();
    expect(await first).toEqual({ done: false, value: 1 });
    expect(await second).toEqual({ done: false, value: 2 });
    const rest: number[] = [];
    for await (const value of queue) rest.push(value);
    expect(rest).toEqual([3]);
  });

  it('gives an error after what came before it, once', async () => {
    const { queue } = make();
    queue.push(1, 1);
    queue.fail(new Error('ended badly'));
    expect(await queue.next()).toEqual({ done: false, value: 1 });
    await expect(queue.next()).rejects.toThrow('ended badly');
    expect(await queue.next()).toEqual({ done: true, value: undefined });
  });

  it('gives an error to a reader who waits', async () => {
    const { queue } = make();
    const waiting = queue.next();
    queue.fail(new Error('ended badly'));
    await expect(waiting).rejects.toThrow('ended badly');
  });

  it('asks the producer to wait, and to go on, once each', async () => {
    const { queue, told } = make();
    for (let i = 0; i < 6; i += 1) queue.push(i, MIB);
    expect(told).toEqual([true]);
    for (let i = 0; i < 6; i += 1) await queue.next();
    expect(told).toEqual([true, false]);
  });

  it('tells its owner that the reader left, and drops the rest', async () => {
    const { queue, told, left } = make();
    for (let i = 0; i < 6; i += 1) queue.push(i, MIB);
    for await (const value of queue) {
      expect(value).toBe(0);
      break;
    }
    expect(left()).toBe(1);
    expect(told).toEqual([true, false]);
    expect(await queue.next()).toEqual({ done: true, value: undefined });
  });

  it('does not call it leaving when all was said', async () => {
    const { queue, left } = make();
    queue.end();
    await queue.return();
    expect(left()).toBe(0);
  });

  it('lets a waiting reader leave', async () => {
    const { queue, left } = make();
    const waiting = queue.next();
    await queue.return();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(left()).toBe(1);
  });
});
