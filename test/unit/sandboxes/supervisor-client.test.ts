import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bootSupervisor, reconnectSupervisor } from '../../../orchestrator/src/sandboxes/docker/boot.js';
import { SupervisorClient } from '../../../orchestrator/src/sandboxes/docker/supervisor-client.js';
import { NotListeningYet } from '../../../orchestrator/src/sandboxes/docker/supervisor-socket.js';
import { SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { SupervisorServer } from '../../fakes/sandboxes/supervisor-server.js';

let root = '';
let directory = '';
let server: SupervisorServer;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'supervisor-'));
  directory = join(root, 'a-folder-with-a-name-of-some-length', 'x'.repeat(100), 'channel');
  server = await SupervisorServer.listen(directory);
});
afterEach(async () => {
  await server.die();
  rmSync(root, { recursive: true, force: true });
});

const file = { path: '/mnt/data/a', bytes: 5, mtime_ms: 1_700_000_000_000, stamp: '17a.2' };
const entry = { path: '/mnt/data/a', bytes: 5, modifiedAtMs: 1_700_000_000_000, stamp: '17a.2' };

async function read(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe('connecting', () => {
  it('works where the path is longer than a socket’s may be', async () => {
    expect(directory.length).toBeGreaterThan(120);
    const client = await SupervisorClient.connect(directory);
    expect(await client.ping()).toMatchObject({ kernel: 'ready' });
    client.close();
  });

  it('refuses a supervisor that speaks another version of the protocol, new or left by an older server', async () => {
    server.answers['ping'] = (request, peer) =>
      peer.reply(request, 'done', { version: '1', kernel: 'ready', uptime_ms: 1 });
    server.answers['interrupt'] = (request, peer) => peer.reply(request, 'done', { running: false });
    const bounds = { deadline: Date.now() + 5_000 };
    const started = bootSupervisor(directory, bounds, () => Promise.reject(new Error('not asked')));
    await expect(started).rejects.toMatchObject({
      code: 'start_failed',
      message: expect.stringMatching(/version 1 .*npm run setup/) as unknown,
    });
    await expect(reconnectSupervisor(directory, 1_000)).rejects.toMatchObject({ code: 'gone' });
  });

  it('says when there is no socket yet, or nobody listens on it', async () => {
    await expect(SupervisorClient.connect(root)).rejects.toBeInstanceOf(NotListeningYet);
    await server.die();
    await expect(SupervisorClient.connect(directory)).rejects.toBeInstanceOf(NotListeningYet);
    server = await SupervisorServer.listen(join(root, 'other'));
  });

  it('follows no link that was put in the socket’s place', async () => {
    const trap = join(root, 'trap');
    symlinkSync(join(directory, 'supervisor.sock'), join(root, 'supervisor.sock'));
    await expect(SupervisorClient.connect(root)).rejects.toMatchObject({ code: 'protocol' });
    expect(server.connections).toBe(0);
    void trap;
  });

  it('refuses what is no socket', async () => {
    writeFileSync(join(root, 'supervisor.sock'), '');
    await expect(SupervisorClient.connect(root)).rejects.toMatchObject({ code: 'protocol' });
  });

  it('stays with the first socket when another takes its name', async () => {
    const client = await SupervisorClient.connect(directory);
    renameSync(join(directory, 'supervisor.sock'), join(directory, 'old.sock'));
    const impostor = await SupervisorServer.listen(directory);
    server.answers.get = (request, peer) => {
      peer.reply(request, 'opened', { bytes: 4 });
      peer.reply(request, 'data', {}, Buffer.from('real'));
      peer.reply(request, 'done', { bytes: 4 });
    };
    const { content } = await client.get('/mnt/data/a');
    expect((await read(content)).toString()).toBe('real');
    expect(impostor.connections).toBe(0);
    client.close();
    await impostor.die();
  });
});

describe('control calls', () => {
  it('are told apart by their ids, in whatever order they are answered', async () => {
    const pending: (() => void)[] = [];
    server.answers.remove = (request, peer) => {
      pending.push(() => {
        if (request.header.path === '/mnt/data/2')
          peer.reply(request, 'failed', { code: 'not_found', message: 'no 2' });
        else peer.reply(request, 'done');
      });
      if (pending.length === 3) for (const answer of pending.reverse()) answer();
    };
    const client = await SupervisorClient.connect(directory);
    const results = await Promise.allSettled([1, 2, 3].map((n) => client.remove(`/mnt/data/${n}`)));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({ reason: { code: 'not_found', message: 'no 2' } });
    client.close();
  });

  it.each([
    ['bad_request', 'protocol'],
    ['not_found', 'not_found'],
    ['not_a_file', 'not_a_file'],
    ['invalid_path', 'invalid_path'],
    ['no_space', 'no_space'],
    ['changed', 'changed'],
    ['too_large', 'too_large'],
    ['aborted', 'changed'],
    ['busy', 'busy'],
    ['internal', 'protocol'],
    ['constructor', 'protocol'],
    [7, 'protocol'],
  ])('translate %s', async (code, expected) => {
    server.answers.remove = (request, peer) => void peer.reply(request, 'failed', { code, message: 'm' });
    const client = await SupervisorClient.connect(directory);
    await expect(client.remove('/mnt/data/x')).rejects.toMatchObject({
      name: 'SandboxError',
      code: expected,
    });
    client.close();
  });

  it('page through a long list', async () => {
    const all = Array.from({ length: 2_500 }, (_, i) => ({
      ...file,
      path: `/mnt/data/${String(i).padStart(5, '0')}`,
    }));
    server.answers.list = (request, peer) => {
      const { after = '', limit } = request.header as { after?: string; limit: number };
      const rest = all.filter(({ path }) => path > after);
      // A supervisor may give less than was asked for, to keep within a frame.
      const entries = rest.slice(0, Math.min(limit, 700));
      peer.reply(request, 'done', { entries, truncated: entries.length < rest.length });
    };
    const client = await SupervisorClient.connect(directory);
    const everything = await client.list(10_000);
    expect([everything.entries.length, everything.truncated]).toEqual([2_500, false]);
    const some = await client.list(1_234);
    expect([some.entries.length, some.truncated]).toEqual([1_234, true]);
    const exact = await client.list(2_500);
    expect([exact.entries.length, exact.truncated]).toEqual([2_500, false]);
    client.close();
  });

  it('refuse a reply of an unknown shape', async () => {
    server.answers.list = (request, peer) => void peer.reply(request, 'done', { entries: [{ path: 7 }] });
    const client = await SupervisorClient.connect(directory);
    await expect(client.list(10)).rejects.toMatchObject({ code: 'protocol' });
    client.close();
  });
});

describe('the end of a sandbox', () => {
  it('rejects every pending call with `gone`, and all later ones', async () => {
    const client = await SupervisorClient.connect(directory);
    const pending = [
      client.remove('/mnt/data/a'),
      client.list(5),
      client.get('/mnt/data/a'),
      client.restart(60_000),
    ];
    const settled = Promise.allSettled(pending);
    await sleep(20);
    await server.die();
    for (const result of await settled) expect(result).toMatchObject({ reason: { code: 'gone' } });
    await client.closed;
    await expect(client.ping()).rejects.toMatchObject({ code: 'gone' });
    await expect(client.put('/mnt/data/a', Readable.from(['x']))).rejects.toMatchObject({ code: 'gone' });
    server = await SupervisorServer.listen(join(root, 'other'));
  });

  it.each([
    ['bytes that are no frame', Buffer.alloc(64, 0xff)],
    ['a reply to nothing', Buffer.from('\0\0\0\x19\0\0\0\0{"id":99,"event":"done" } ', 'latin1')],
  ])('is assumed after %s', async (_, bytes) => {
    server.answers.remove = (_request, peer) => peer.raw(bytes);
    const client = await SupervisorClient.connect(directory);
    await expect(client.remove('/mnt/data/a')).rejects.toMatchObject({ code: 'gone' });
    await client.closed;
  });

  it('is assumed when an answer does not come in time', async () => {
    const client = await SupervisorClient.connect(directory);
    await expect(client.restart(30)).rejects.toMatchObject({ code: 'gone' });
    expect(client.open).toBe(false);
  });
});

describe('uploads', () => {
  function collect(): { chunks: Buffer[]; ops: string[] } {
    const seen = { chunks: [] as Buffer[], ops: [] as string[] };
    server.answers.put = (request, peer) => void peer.reply(request, 'ready');
    server.answers.data = (request) => void seen.chunks.push(request.payload);
    server.answers.end = (request, peer) => {
      seen.ops.push('end');
      peer.reply(request, 'done', { ...file, bytes: Buffer.concat(seen.chunks).length });
    };
    server.answers.abort = () => void seen.ops.push('abort');
    return seen;
  }

  it('carry every byte, in pieces of a bounded size', async () => {
    const seen = collect();
    const client = await SupervisorClient.connect(directory);
    const sent = Buffer.alloc(3_500_001, 'abcdefghijk');
    const pieces = [sent.subarray(0, 1), sent.subarray(1, 70_000), sent.subarray(70_000)];
    const stored = await client.put('/mnt/data/a', Readable.from(pieces));
    expect(stored.bytes).toBe(sent.length);
    expect(Buffer.concat(seen.chunks).equals(sent)).toBe(true);
    expect(Math.max(...seen.chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(1_048_576);
    client.close();
  });

  it('may be empty', async () => {
    const seen = collect();
    const client = await SupervisorClient.connect(directory);
    expect(await client.put('/mnt/data/a', Readable.from([]))).toEqual({ ...entry, bytes: 0 });
    expect(seen.ops).toEqual(['end']);
    client.close();
  });

  it('pass on the source’s own error, and store nothing', async () => {
    const seen = collect();
    const client = await SupervisorClient.connect(directory);
    const source = new Readable({ read() {} });
    source.push('some');
    setTimeout(() => source.destroy(new Error('the sender left')), 20);
    await expect(client.put('/mnt/data/a', source)).rejects.toThrow('the sender left');
    expect(seen.ops).not.toContain('end');
    client.close();
  });

  it('stop when refused half-way, even while the source is silent', async () => {
    collect();
    server.answers.data = (request, peer) =>
      void peer.reply(request, 'failed', { code: 'no_space', message: 'full' });
    const client = await SupervisorClient.connect(directory);
    const source = new Readable({ read() {} });
    source.push(Buffer.alloc(1_048_576));
    await expect(client.put('/mnt/data/a', source)).rejects.toMatchObject({
      code: 'no_space',
      message: 'full',
    });
    expect(source.destroyed).toBe(true);
    client.close();
  });

  it('close their connections', async () => {
    collect();
    const client = await SupervisorClient.connect(directory);
    await Promise.all(Array.from({ length: 40 }, () => client.put('/mnt/data/a', Readable.from(['x']))));
    await sleep(20);
    expect(server.open).toBe(1);
    client.close();
  });
});

describe('a connection that is lost', () => {
  const lost = new SandboxError('gone', 'lost');

  it('is not the end while the supervisor answers', async () => {
    const client = await SupervisorClient.connect(directory);
    expect(await client.verdict(lost)).toMatchObject({ code: 'protocol' });
    expect(client.open).toBe(true);
    client.close();
  });

  it('is the end when the supervisor does not', async () => {
    const client = await SupervisorClient.connect(directory);
    server.answers.ping = (_request, peer) => peer.hangUp();
    expect(await client.verdict(lost)).toBe(lost);
    await client.closed;
  });
});

it('a list that met the limit on files is not complete', async () => {
  server.answers.list = (request, peer) =>
    void peer.reply(request, 'done', { entries: [file], truncated: false, complete: false });
  const client = await SupervisorClient.connect(directory);
  expect(await client.list(10)).toEqual({ entries: [entry], truncated: true });
  client.close();
});

describe('an execution whose reader is lost', () => {
  it('is waited for until the supervisor has done with it', async () => {
    let left = 3;
    server.answers.interrupt = (request, peer) => {
      left -= 1;
      peer.reply(request, 'done', { running: left > 0 });
    };
    const client = await SupervisorClient.connect(directory);
    await client.untilIdle(5_000);
    expect(left).toBe(0);
    client.close();
  });

  it('is not waited for without end', async () => {
    server.answers.interrupt = (request, peer) => void peer.reply(request, 'done', { running: true });
    const client = await SupervisorClient.connect(directory);
    await expect(client.untilIdle(50)).rejects.toMatchObject({ code: 'busy' });
    client.close();
  });
});
