import { describe, expect, it } from 'vitest';
import { BodyBudget } from '../../../orchestrator/src/http/body-budget.js';

const NEVER = new AbortController().signal;

describe('BodyBudget', () => {
  it('lets bodies in while there is room, and the next in order', async () => {
    const budget = new BodyBudget(100);
    const order: string[] = [];
    const first = await budget.take('a', 50, NEVER);
    const second = await budget.take('b', 50, NEVER);
    const third = budget.take('c', 40, NEVER).then((release) => (order.push('c'), release));
    const fourth = budget.take('d', 10, NEVER).then((release) => (order.push('d'), release));
    expect(budget.bytes).toBe(100);
    first();
    first();
    (await third)();
    (await fourth)();
    second();
    expect([order, budget.bytes]).toEqual([['c', 'd'], 0]);
  });

  it('keeps half for others, whoever waits', async () => {
    const budget = new BodyBudget(100);
    const release = await budget.take('greedy', 50, NEVER);
    let more = false;
    const waiting = budget.take('greedy', 50, NEVER).then((free) => ((more = true), free));
    (await budget.take('modest', 30, NEVER))();
    expect(more).toBe(false);
    release();
    (await waiting)();
    expect(budget.bytes).toBe(0);
  });

  it('refuses who waited too long, and forgets who left', async () => {
    const budget = new BodyBudget(10, 20);
    const release = await budget.take('a', 5, NEVER);
    const other = await budget.take('b', 5, NEVER);
    await expect(budget.take('c', 5, NEVER)).rejects.toMatchObject({ code: 'overloaded', status: 503 });
    const gone = new AbortController();
    const left = budget.take('c', 5, gone.signal);
    gone.abort();
    await expect(left).rejects.toMatchObject({ code: 'invalid_request' });
    release();
    other();
    expect(budget.bytes).toBe(0);
  });
});
