import { afterAll, beforeAll, expect, it } from 'vitest';
import { lockedTransaction, lockInTransaction } from '../../../orchestrator/src/database/advisory-lock.js';
import { PrismaService } from '../../../orchestrator/src/database/prisma.service.js';
import { freshDatabase, type TestDatabase } from '../../support/postgres.js';

let database: TestDatabase;
let mine: PrismaService;
let other: PrismaService;
beforeAll(async () => {
  database = await freshDatabase();
  mine = new PrismaService({ url: database.url, poolSize: 2 });
  other = new PrismaService({ url: database.url, poolSize: 2 });
});
afterAll(async () => {
  await mine.$disconnect();
  await other.$disconnect();
  await database.drop();
});

it('leaves connections to others while a crowd waits for one lock', async () => {
  const held = Promise.withResolvers<void>();
  const taken = Promise.withResolvers<void>();
  const holder = other.$transaction(async (tx) => {
    await lockInTransaction(tx, 'pool', 'crowd');
    taken.resolve();
    await held.promise;
  });
  await taken.promise;
  let done = 0;
  const crowd = Array.from({ length: 20 }, () =>
    lockedTransaction(mine, ['pool', 'crowd'], async () => void (done += 1)),
  );
  // With a pool of two, this query has a connection only if the crowd does not take both.
  await mine.project.count();
  expect(done).toBe(0);
  held.resolve();
  await holder;
  await Promise.all(crowd);
  expect(done).toBe(20);
});

it('bounds statements, locks and idle transactions', async () => {
  const shown = async (name: string) =>
    (await mine.$queryRaw<{ value: string }[]>`SELECT current_setting(${name}) AS value`)[0]!.value;
  expect(await shown('statement_timeout')).toBe('1min');
  expect(await shown('lock_timeout')).toBe('30s');
  expect(await shown('idle_in_transaction_session_timeout')).toBe('1min');
});
