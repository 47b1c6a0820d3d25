// A client in a process of its own: uploads a generated file, downloads it, prints what happened.
// Usage: node transfer-client.mjs <baseURL> <key> <bytes>
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import OpenAI from 'openai';

const [baseURL, apiKey, size] = process.argv.slice(2);
const bytes = Number(size);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const dir = await mkdtemp(join(tmpdir(), 'transfer-'));
const path = join(dir, 'large.bin');

async function generate() {
  const hash = createHash('sha256');
  const file = await open(path, 'w');
  const chunk = Buffer.alloc(1024 * 1024);
  for (let written = 0; written < bytes; written += chunk.length) {
    chunk.writeUInt32LE(written / chunk.length, 0);
    const piece = chunk.subarray(0, Math.min(chunk.length, bytes - written));
    hash.update(piece);
    await file.write(piece);
  }
  await file.close();
  return hash.digest('hex');
}

async function timed(work) {
  const startedAt = performance.now();
  const result = await work();
  return { result, ms: performance.now() - startedAt };
}

async function download(id) {
  const response = await client.files.content(id);
  const hash = createHash('sha256');
  for await (const chunk of response.body) hash.update(chunk);
  return hash.digest('hex');
}

try {
  const sent = await generate();
  const up = await timed(() => client.files.create({ file: createReadStream(path), purpose: 'user_data' }));
  const down = await timed(() => download(up.result.id));
  const outcome = {
    bytes: up.result.bytes,
    equal: sent === down.result,
    uploadMs: up.ms,
    downloadMs: down.ms,
  };
  process.stdout.write(JSON.stringify(outcome));
} finally {
  await rm(dir, { recursive: true, force: true });
}
