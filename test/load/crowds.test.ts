/** Two thousand clients of one server, most of them idle, slow or silent: those who work notice nothing. */
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, eventually } from '../support/api.js';
import { besides, metric } from '../support/bystander.js';
import { newProject, showLogOnFailure } from '../support/project.js';
import { head, parseReply, RawConnection } from '../support/raw-http.js';
import { startServer, type TestServer } from '../support/server.js';

const MIB = 1024 * 1024;
const BODY_IDLE_MS = 4_000;
const READER_IDLE_MS = 4_000;
const ENV = {
  SANDBOX_POOL: '1g=1',
  BODY_IDLE_MS: String(BODY_IDLE_MS),
  READER_IDLE_MS: String(READER_IDLE_MS),
};
const CROWD = { idle: 1_700, silentWriters: 200, slowWriters: 100, silentReaders: 100, slowReaders: 100 };
const DOWNLOAD_BYTES = 12 * MIB;
/** A stranger may wait this long on a loaded machine; a server that stands still takes longer. */
const LONGEST_WAIT_MS = 2_000;
const MEMORY_BYTES = 256 * MIB;
/** Connections to the database and files of the engine come and go. */
const DESCRIPTORS = 20;

let server: TestServer;
let api: Api;
let other: Api;
showLogOnFailure(() => server);
beforeAll(async () => {
  server = await startServer({ name: 'crowds', env: ENV });
  api = new Api(server.url, await newProject(server, 'crowd'));
  other = new Api(server.url, await newProject(server, 'neighbour'));
}, 300_000);
afterAll(() => server?.stop());

const open = () => RawConnection.open(server.origin);
const times = <T>(count: number, make: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => make(index)));
const descriptors = (): number => readdirSync(`/proc/${server.pid}/fd`).length;
const number = (line: string) => metric(server.origin, server.adminKey, line);
const create = (length: number): string =>
  head(
    'POST /v1/conversations HTTP/1.1',
    { 'content-type': 'application/json', 'content-length': length },
    api.key,
  );

/** Says that a body comes, and stops in its middle. */
async function silentWriter(): Promise<number> {
  const connection = await open();
  connection.send(`${create(60)}{"metadata":`);
  await connection.untilClosed();
  return parseReply(connection.text).status;
}

/** A body that comes letter by letter, for longer than a silent one may take. */
async function slowWriter(): Promise<number> {
  const body = '{"metadata":{"of":"one who has much time"}}';
  const connection = await open();
  connection.send(create(body.length));
  for (const letter of body) {
    connection.send(letter);
    await sleep((BODY_IDLE_MS * 2) / body.length);
  }
  await connection.until((text) => text.includes('"conv_'));
  connection.close();
  return parseReply(connection.text).status;
}

/** Asks for a file and takes nothing of it; resolves with what was sent before the server gave it up. */
async function silentReader(path: string): Promise<void> {
  const connection = await open();
  connection.socket.pause();
  connection.send(head(`GET ${path} HTTP/1.1`, {}, api.key));
  // Until it is read, this side cannot know that the other has closed.
  await sleep(READER_IDLE_MS * 2.5);
  connection.socket.resume();
  await connection.untilClosed();
  expect(connection.text.length).toBeLessThan(DOWNLOAD_BYTES);
}

/** Takes a little at a time, for longer than a silent one may take. */
async function slowReader(path: string): Promise<number> {
  const connection = await open();
  let seen = 0;
  connection.socket.removeAllListeners('data');
  connection.socket.on('data', (chunk: string) => {
    seen += chunk.length;
    connection.socket.pause();
    setTimeout(() => connection.socket.resume(), 40);
  });
  connection.send(head(`GET ${path} HTTP/1.1`, { connection: 'close' }, api.key));
  await connection.untilClosed(150_000);
  return seen;
}

/** Runs `1 + 1` in a container of its own until told to stop. */
async function compute(container: string, stopped: AbortSignal): Promise<number> {
  let runs = 0;
  for (; !stopped.aborted; runs += 1) {
    expect(await other.printed(container, 'print(1 + 1)')).toBe('2\n');
    await sleep(100);
  }
  return runs;
}

/** The most connections that were open at a time until told to stop. */
async function watchConnections(stopped: AbortSignal): Promise<number> {
  let most = 0;
  for (; !stopped.aborted; await sleep(250)) most = Math.max(most, await number('connections_open'));
  return most;
}

describe('two thousand connections', () => {
  it('idle, slow and silent, cost those who work nothing and are given back', async () => {
    const file = await api.upload('large.bin', Buffer.alloc(DOWNLOAD_BYTES, 7));
    const path = `/v1/files/${file}/content`;
    const container = await other.newContainer();
    // A server that has just started is still making its first sandbox.
    expect(await other.printed(container, 'print(1 + 1)')).toBe('2\n');
    const before = { descriptors: descriptors(), resident: await number('memory_bytes{kind="resident"}') };

    const idle: RawConnection[] = [];
    for (let at = 0; at < CROWD.idle; at += 100) idle.push(...(await times(100, open)));
    const over = new AbortController();
    const runs = compute(container, over.signal);
    let most = 0;
    const { result, waits } = await besides(other, async () => {
      const crowd = Promise.all([
        times(CROWD.silentWriters, silentWriter),
        times(CROWD.slowWriters, slowWriter),
        times(CROWD.silentReaders, () => silentReader(path)),
        times(CROWD.slowReaders, () => slowReader(path)),
      ]);
      const watched = watchConnections(over.signal);
      const ended = await crowd;
      over.abort();
      most = await watched;
      return ended;
    });

    const [silentWriters, slowWriters, , slowReaders] = result;
    expect(most).toBeGreaterThanOrEqual(2_000);
    expect(new Set(silentWriters)).toEqual(new Set([408]));
    expect(new Set(slowWriters)).toEqual(new Set([200]));
    expect(Math.min(...slowReaders)).toBeGreaterThan(DOWNLOAD_BYTES);
    expect(idle.filter(({ isClosed }) => isClosed)).toEqual([]);
    expect(await runs).toBeGreaterThan(10);
    expect(waits.failed).toBe(0);
    expect(waits.longestMs).toBeLessThan(LONGEST_WAIT_MS);
    const resident = await number('memory_bytes{kind="resident"}');
    expect(resident - before.resident).toBeLessThan(MEMORY_BYTES);

    for (const connection of idle) connection.close();
    const now = await eventually(
      () => Promise.resolve(descriptors()),
      (found) => found <= before.descriptors + DESCRIPTORS,
      30_000,
    );
    expect(now).toBeLessThanOrEqual(before.descriptors + DESCRIPTORS);
    process.stdout.write(
      `${most} connections; the neighbour waited ${waits.longestMs.toFixed()} ms at most, ` +
        `ran code ${await runs} times; ${before.descriptors} descriptors before, ${now} after\n`,
    );
  });

  it('that all ask at once are all answered', async () => {
    const connections: RawConnection[] = [];
    for (let at = 0; at < 2_000; at += 100) connections.push(...(await times(100, open)));
    for (const connection of connections) {
      connection.send(head('GET /v1/models HTTP/1.1', { connection: 'close' }, api.key));
    }
    await Promise.all(connections.map((connection) => connection.untilClosed()));
    const statuses = new Set(connections.map(({ text }) => parseReply(text).status));
    expect(statuses).toEqual(new Set([200]));
  });
});
