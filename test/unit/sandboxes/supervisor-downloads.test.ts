import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SupervisorClient } from '../../../orchestrator/src/sandboxes/docker/supervisor-client.js';
import type { SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { SupervisorServer } from '../../fakes/sandboxes/supervisor-server.js';

let directory = '';
let server: SupervisorServer;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'supervisor-'));
  server = await SupervisorServer.listen(directory);
});
afterEach(async () => {
  await server.die();
  rmSync(directory, { recursive: true, force: true });
});

async function read(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

describe('downloads', () => {
  it('give the bytes, and know how many beforehand', async () => {
    server.answers.get = (request, peer) => {
      peer.reply(request, 'opened', { bytes: 8 });
      peer.reply(request, 'data', {}, Buffer.from('four'));
      peer.reply(request, 'data', {}, Buffer.from('more'));
      peer.reply(request, 'done', { bytes: 8 });
    };
    const client = await SupervisorClient.connect(directory);
    const { bytes, content } = await client.get('/mnt/data/a');
    expect([bytes, (await read(content)).toString()]).toEqual([8, 'fourmore']);
    client.close();
  });

  it('make up the zeros that did not travel, without holding them', async () => {
    server.answers.get = (request, peer) => {
      peer.reply(request, 'opened', { bytes: 300_000_006 });
      peer.reply(request, 'data', {}, Buffer.from('abc'));
      peer.reply(request, 'data', { zeros: 300_000_000 });
      peer.reply(request, 'data', {}, Buffer.from('xyz'));
      peer.reply(request, 'done', { bytes: 300_000_006 });
    };
    const client = await SupervisorClient.connect(directory);
    const { bytes, content } = await client.get('/mnt/data/a');
    let [received, most] = [0, 0];
    let [head, tail] = ['', ''];
    for await (const chunk of content as AsyncIterable<Buffer>) {
      if (received === 0) head = chunk.toString('latin1', 0, 4);
      received += chunk.length;
      most = Math.max(most, content.readableLength);
      tail = chunk.toString('latin1', chunk.length - 3);
    }
    expect([bytes, received, head, tail]).toEqual([300_000_006, 300_000_006, 'abc\0', 'xyz']);
    expect(most).toBeLessThan(4 * 1_048_576);
    client.close();
  });

  it('fail when less comes than was announced', async () => {
    server.answers.get = (request, peer) => {
      peer.reply(request, 'opened', { bytes: 10 });
      peer.reply(request, 'data', {}, Buffer.from('four'));
      peer.reply(request, 'done', { bytes: 10 });
    };
    const client = await SupervisorClient.connect(directory);
    const { content } = await client.get('/mnt/data/a');
    await expect(read(content)).rejects.toMatchObject({ code: 'protocol' });
    client.close();
  });

  it('of many use one connection, and another one where the first was cut', async () => {
    server.answers.get = (request, peer) => {
      const path = String(request.header.path);
      if (path.endsWith('cut')) return peer.hangUp();
      peer.reply(request, 'opened', { bytes: path.length });
      peer.reply(request, 'data', {}, Buffer.from(path));
      if (path.endsWith('changed')) peer.reply(request, 'failed', { code: 'changed', message: 'shorter' });
      else peer.reply(request, 'done', {});
    };
    const client = await SupervisorClient.connect(directory);
    const names = [...Array.from({ length: 50 }, (_, i) => `/${i}`), '/cut', '/changed', '/last'];
    const told: string[] = [];
    for await (const file of client.getMany(names)) {
      if ('error' in file) told.push(file.error.code);
      else {
        const text = await read(file.content).catch((error: SandboxError) => error.code);
        told.push(text.toString());
      }
    }
    expect(told).toEqual([...names.slice(0, 50), 'protocol', 'changed', '/last']);
    expect(server.connections).toBeLessThan(6);
    client.close();
  });

  it('never give more than was announced', async () => {
    server.answers.get = (request, peer) => {
      peer.reply(request, 'opened', { bytes: 5 });
      peer.reply(request, 'data', {}, Buffer.from('fourmore'));
      peer.reply(request, 'data', {}, Buffer.from('evenmore'));
      peer.reply(request, 'done', { bytes: 16 });
    };
    const client = await SupervisorClient.connect(directory);
    const { content } = await client.get('/mnt/data/a');
    expect((await read(content)).toString()).toBe('fourm');
    client.close();
  });

  it('reject before the first byte when there is no such file', async () => {
    server.answers.get = (request, peer) =>
      void peer.reply(request, 'failed', { code: 'not_found', message: 'no' });
    const client = await SupervisorClient.connect(directory);
    await expect(client.get('/mnt/data/a')).rejects.toMatchObject({ code: 'not_found' });
    client.close();
  });

  it('fail in the stream when the sandbox dies half-way', async () => {
    server.answers.get = (request, peer) => {
      peer.reply(request, 'opened', { bytes: 100 });
      peer.reply(request, 'data', {}, Buffer.from('some'));
      setTimeout(() => peer.hangUp(), 20);
    };
    const client = await SupervisorClient.connect(directory);
    const { content } = await client.get('/mnt/data/a');
    await expect(read(content)).rejects.toMatchObject({ code: 'gone' });
    client.close();
  });

  it('make the sender wait for a slow receiver, and nobody else', async () => {
    let sent = 0;
    server.answers.get = (request, peer) => {
      peer.reply(request, 'opened', { bytes: 64 * 1_048_576 });
      void (async () => {
        for (let i = 0; i < 64; i += 1) {
          peer.reply(request, 'data', {}, Buffer.alloc(1_048_576));
          await peer.drained();
          sent += 1;
        }
        peer.reply(request, 'done', { bytes: 64 * 1_048_576 });
      })();
    };
    const client = await SupervisorClient.connect(directory);
    const { content } = await client.get('/mnt/data/a');
    await sleep(150);
    expect(sent).toBeLessThan(16);
    expect(await client.ping()).toMatchObject({ kernel: 'ready' });
    let received = 0;
    for await (const chunk of content) received += (chunk as Buffer).length;
    expect(received).toBe(64 * 1_048_576);
    client.close();
  });

  it('end on the supervisor’s side when the receiver leaves', async () => {
    server.answers.get = (request, peer) => {
      peer.reply(request, 'opened', { bytes: 100 });
      peer.reply(request, 'data', {}, Buffer.from('some'));
    };
    const client = await SupervisorClient.connect(directory);
    const { content } = await client.get('/mnt/data/a');
    content.destroy();
    await sleep(30);
    expect(server.open).toBe(1);
    client.close();
  });
});
