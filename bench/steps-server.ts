/** What a client of the server waits for. */
import pg from 'pg';
import { startEmbeddedPostgres } from '../orchestrator/src/database/embedded-postgres.js';
import type { TestServer } from '../test/support/server.js';
import type { Client } from './client.js';
import { type Row, rounds, summarise, timed } from './measure.js';
import { peakGrowth } from './process-memory.js';

const MIB = 1024 * 1024;
const MB_PER_MS = 1_000;

export interface Sizes {
  readonly warm: number;
  readonly trivial: number;
  readonly transferMiB: number;
  readonly transfers: number;
  readonly parallel: number;
}

/** Create a container and see the first output of its first code, with a sandbox waiting. */
export async function warmCreate(client: Client, sizes: Sizes): Promise<Row[]> {
  const creates: number[] = [];
  const firsts: number[] = [];
  const totals: number[] = [];
  for (let index = 0; index < sizes.warm; index += 1) {
    await client.poolIsFull();
    let id = '';
    const create = await timed(async () => (id = await client.newContainer()));
    const first = await client.firstOutput(id, 'print(1)');
    creates.push(create);
    firsts.push(first);
    totals.push(create + first);
    await client.deleteContainer(id);
  }
  return [
    summarise('warm: create → first output', totals, {
      aim: 100,
      note: 'two HTTP requests, the second a stream',
    }),
    summarise('  of which POST /v1/containers', creates),
    summarise('  of which POST …/executions to first output', firsts),
  ];
}

/** One more piece of code in a container that has a sandbox, and what its way is made of. */
export async function furtherExecution(client: Client, server: TestServer, sizes: Sizes): Promise<Row[]> {
  const id = await client.newContainer();
  await client.run(id, '1+1');
  const run = await rounds(sizes.trivial, () => client.run(id, '1+1'));
  const floor = await rounds(sizes.trivial, () => client.ask('GET', '/health/live'));
  const read = await rounds(sizes.trivial, () => client.ask('GET', `/v1/containers/${id}/files`));
  await client.deleteContainer(id);
  return [
    summarise('further execution of 1+1 over HTTP', run, { aim: 15 }),
    summarise('  for comparison: GET /health/live', floor),
    summarise('  for comparison: a list (key, two reads)', read),
    ...(await database(server, sizes.trivial)),
  ];
}

/** Each execution waits for one write before it ends; so the disk's speed is part of every number above. */
async function database(server: TestServer, count: number): Promise<Row[]> {
  const postgres = await startEmbeddedPostgres({ dataDir: server.dataDir, log: () => undefined });
  const client = new pg.Client({ connectionString: postgres.url });
  try {
    await client.connect();
    await client.query('CREATE TABLE bench (value int); INSERT INTO bench VALUES (0)');
    const read = await rounds(count, () => client.query('SELECT value FROM bench'));
    const write = await rounds(count, () => client.query('UPDATE bench SET value = value + 1'));
    await client.query('DROP TABLE bench');
    return [
      summarise('  for comparison: a read in PostgreSQL', read),
      summarise('  for comparison: a durable write in PostgreSQL', write),
    ];
  } finally {
    await client.end();
    await postgres.release();
  }
}

export async function transfers(client: Client, server: TestServer, sizes: Sizes): Promise<Row[]> {
  const bytes = sizes.transferMiB * MIB;
  const speed = (ms: number): number => bytes / MB_PER_MS / ms;
  const up: number[] = [];
  const down: number[] = [];
  const upGrowth: number[] = [];
  const downGrowth: number[] = [];
  for (let index = 0; index < sizes.transfers; index += 1) {
    let id = '';
    const upload = async () => up.push(speed(await timed(async () => (id = await client.upload(bytes)))));
    const download = async () => down.push(speed(await timed(() => client.download(id))));
    upGrowth.push((await peakGrowth(server.pid, upload)) / MIB);
    downGrowth.push((await peakGrowth(server.pid, download)) / MIB);
    await client.ask('DELETE', `/v1/files/${id}`);
  }
  const size = `${sizes.transferMiB} MiB`;
  return [
    summarise(`upload of ${size}`, up, { unit: 'MB/s' }),
    summarise(`download of ${size}`, down, { unit: 'MB/s' }),
    summarise('  growth of the server while it uploads, at most', upGrowth, { unit: 'MB', aim: 100 }),
    summarise('  growth of the server while it downloads, at most', downGrowth, { unit: 'MB', aim: 100 }),
  ];
}

/** The same code at once in many containers: first while their sandboxes start, then on live ones. */
export async function parallel(client: Client, sizes: Sizes): Promise<Row[]> {
  const ids = await Promise.all(Array.from({ length: sizes.parallel }, () => client.newContainer()));
  const burst = async (): Promise<{ total: number; each: number[] }> => {
    const each: number[] = [];
    const one = async (id: string) => each.push(await timed(() => client.run(id, '1+1')));
    return { total: await timed(() => Promise.all(ids.map(one))), each };
  };
  const cold = await burst();
  const warm = await burst();
  const memory = await idleMemory(client);
  await Promise.all(ids.map((id) => client.deleteContainer(id)));
  const name = `${sizes.parallel} executions at once in as many containers`;
  return [
    summarise(`${name}, cold: all`, [cold.total], { note: 'but for those the warm pool had' }),
    summarise('  each', cold.each),
    summarise(`${name}, live: all`, [warm.total]),
    summarise('  each', warm.each),
    memory,
  ];
}

async function idleMemory(client: Client): Promise<Row> {
  await client.poolIsFull();
  const { sizes, bound_sandboxes: bound, sandbox_memory_bytes: bytes } = await client.pool();
  const count = bound + sizes.reduce((sum, { warm }) => sum + warm, 0);
  return summarise('memory of an idle sandbox', [bytes / MIB / count], {
    unit: 'MB',
    note: `cgroup memory of ${count} sandboxes, on average`,
  });
}
