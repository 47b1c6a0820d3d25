import { setImmediate } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { WriteGroup } from '../../../orchestrator/src/database/write-group.js';

const SMALL = 10;
const LARGE = 1024 * 1024;
const ALL_BUT_BAD = 3;

/** Writes are let through one by one by the test. */
class Database {
  readonly written: string[][] = [];
  private readonly held: (() => void)[] = [];
  fault: (members: readonly string[]) => Error | null = () => null;

  constructor(private readonly holds = false) {}

  readonly write = async (members: readonly string[]): Promise<string[]> => {
    this.written.push([...members]);
    if (this.holds) await new Promise<void>((resolve) => void this.held.push(resolve));
    const fault = this.fault(members);
    if (fault) throw fault;
    return members.map((member) => `${member}!`);
  };

  async letThrough(): Promise<void> {
    this.held.shift()!();
    await turn();
  }
}

/** What was added before, and what follows from it, has been written; a timer may come before that. */
const turn = async (): Promise<void> => {
  await setImmediate();
  await setImmediate();
};
const names = (count: number) => Array.from({ length: count }, (_, index) => String(index));

it('writes what comes together in one go, in its order, and answers each', async () => {
  const database = new Database();
  const group = new WriteGroup(database.write);
  const all = await Promise.all(['a', 'b', 'c'].map((name) => group.add(name, SMALL)));
  expect(all).toEqual(['a!', 'b!', 'c!']);
  expect(await group.add('d', SMALL)).toBe('d!');
  expect(database.written).toEqual([['a', 'b', 'c'], ['d']]);
});

it('gathers what comes while two writes are under way', async () => {
  const database = new Database(true);
  const group = new WriteGroup(database.write);
  const added = [];
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    added.push(group.add(name, SMALL));
    await turn();
  }
  expect(database.written).toEqual([['a'], ['b']]);
  await database.letThrough();
  expect(database.written).toEqual([['a'], ['b'], ['c', 'd', 'e']]);
  await database.letThrough();
  await database.letThrough();
  expect(await Promise.all(added)).toEqual(['a!', 'b!', 'c!', 'd!', 'e!']);
});

it('lets a member fail alone that spoils the write of all', async () => {
  const database = new Database();
  database.fault = (members) => (members.includes('bad') ? new Error('of bad') : null);
  const group = new WriteGroup(database.write);
  const settled = await Promise.allSettled(['a', 'bad', 'c'].map((name) => group.add(name, SMALL)));
  expect(settled).toMatchObject([{ value: 'a!' }, { reason: { message: 'of bad' } }, { value: 'c!' }]);
  expect(database.written).toHaveLength(1 + ALL_BUT_BAD);
  expect(await group.add('later', SMALL)).toBe('later!');
});

it('tells all of them that the database is away, without asking again for each', async () => {
  const database = new Database();
  database.fault = () => new Error('Connection terminated unexpectedly');
  const group = new WriteGroup(database.write);
  const settled = await Promise.allSettled(names(20).map((name) => group.add(name, SMALL)));
  expect(settled.every(({ status }) => status === 'rejected')).toBe(true);
  expect(database.written).toHaveLength(1);
  database.fault = () => null;
  expect(await group.add('back', SMALL)).toBe('back!');
});

it('writes no more than fits in one go', async () => {
  const database = new Database();
  const group = new WriteGroup(database.write);
  await Promise.all(names(120).map((name) => group.add(name, SMALL)));
  expect(database.written.map((members) => members.length)).toEqual([50, 50, 20]);
  expect(database.written.flat()).toEqual(names(120));
  database.written.length = 0;
  await Promise.all(names(3).map((name) => group.add(name, 200_000)));
  expect(database.written).toEqual([['0'], ['1'], ['2']]);
});

it('lets a large member go by itself, past the line', async () => {
  const database = new Database(true);
  const group = new WriteGroup(database.write);
  const small = [group.add('a', SMALL)];
  await turn();
  small.push(group.add('b', SMALL));
  const large = group.add('large', LARGE);
  await turn();
  expect(database.written).toEqual([['a'], ['large'], ['b']]);
  for (let count = 0; count < database.written.length; count += 1) await database.letThrough();
  expect(await Promise.all([...small, large])).toEqual(['a!', 'b!', 'large!']);
});
