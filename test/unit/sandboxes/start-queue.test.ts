import { describe, expect, it } from 'vitest';
import type { Sandbox } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { StartQueue } from '../../../orchestrator/src/sandboxes/start-queue.js';

const PATIENCE_MS = 60_000;
const sandbox = {} as Sandbox;

/** A queue that notes who is served. */
class Line {
  readonly queue = new StartQueue();
  readonly served: string[] = [];

  /** The place that it gets. */
  join(owner: string, name = owner, size: '1g' | '4g' = '1g'): number {
    const { sandbox: promise, place } = this.queue.join(size, owner, PATIENCE_MS, new Error('no'));
    promise.then(
      () => this.served.push(name),
      () => this.served.push(`${name} refused`),
    );
    return place;
  }

  async serve(times: number, size: '1g' | '4g' = '1g'): Promise<readonly string[]> {
    for (let turn = 0; turn < times; turn += 1) this.queue.hand(size, sandbox);
    await new Promise((done) => setImmediate(done));
    return this.served.splice(0);
  }
}

describe('the line for sandboxes', () => {
  it('serves those of one project as they came', async () => {
    const line = new Line();
    expect(['1', '2', '3'].map((name) => line.join('a', name))).toEqual([0, 1, 2]);
    expect(await line.serve(4)).toEqual(['1', '2', '3']);
    expect(line.queue.hand('1g', sandbox)).toBe(false);
  });

  it('lets projects take turns, however many one of them asks for', async () => {
    const line = new Line();
    for (let n = 0; n < 50; n += 1) line.join('crowd');
    expect(await line.serve(3)).toEqual(['crowd', 'crowd', 'crowd']);
    expect([line.join('one'), line.join('two'), line.join('one', 'one again')]).toEqual([0, 1, 3]);
    expect(await line.serve(6)).toEqual(['one', 'two', 'crowd', 'one again', 'crowd', 'crowd']);
  });

  it('starts first what is for whoever is next, and passes over what is under way', () => {
    const line = new Line();
    line.join('a', 'a', '4g');
    line.join('a', 'a', '4g');
    line.join('b', 'b', '1g');
    expect(line.queue.wanted()).toBe('4g');
    line.queue.begin('4g');
    expect(line.queue.wanted()).toBe('1g');
    line.queue.begin('1g');
    expect(line.queue.wanted()).toBe('4g');
    line.queue.begin('4g');
    expect(line.queue.wanted()).toBeUndefined();
  });

  it('says how many wait for a size, and how long', async () => {
    const line = new Line();
    line.join('a');
    line.join('b');
    line.join('b', 'b', '4g');
    expect(line.queue.state('1g', Date.now() + 5_000)).toMatchObject({ waiting: 2 });
    expect(line.queue.state('1g', Date.now() + 5_000).longestMs).toBeGreaterThanOrEqual(5_000);
    expect(line.queue.state('64g')).toEqual({ waiting: 0, longestMs: 0 });
    await line.serve(1, '4g');
    expect(line.queue.state('4g').waiting).toBe(0);
  });

  it('refuses whoever is next when a start fails, but for those that other starts serve', async () => {
    const line = new Line();
    line.join('a');
    line.join('b');
    line.queue.begin('1g');
    line.queue.rejectOne('1g', new Error('failed'));
    line.queue.rejectOne('1g', new Error('failed'));
    expect(await line.serve(1)).toEqual(['a refused', 'b']);
  });
});
