/**
 * The image of a sandbox ⇄ one small encrypted file. Most pages of memory are those of the template that the
 * sandbox was made from, in the same order, so that only the others are kept: each as its difference to the page
 * that was expected, which is zeros but for a few bytes. Also the program of the thread that does this
 * (`image-thread.ts`).
 *
 *   file    = magic, length of header (u32), header (JSON, authenticated), iv, AES-256-GCM of body, tag
 *   body    = zstd of checkpoint.img, pages_meta.img, pages
 *   pages   = { op (u8), number (u32), [content] }, little endian
 *             0 so many pages as in the template, from where it is at
 *             1 the template is at this page now
 *             2 so many pages, each the difference (xor) to the next one of the template, zeros beyond its end
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { constants, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { differences, PAGE, PageFile, readExactly, Reader, restored, WINDOW } from './page-delta.ts';

export const THREAD_MARK = 'image-thread';

const MAGIC = Buffer.from('CISLEEP1');
const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
const TAG = { authTagLength: TAG_BYTES };
const MAX_HEADER = 1_048_576;
/** Copied as they are, in this order; pages.img follows. */
const WHOLE = ['checkpoint.img', 'pages_meta.img'] as const;
const PAGES = 'pages.img';

/** Both ways. */
interface Paths {
  /** Folder with the three files. */
  readonly image: string;
  readonly file: string;
  /** pages.img of the template; undefined: no page is known. */
  readonly template?: string | undefined;
  readonly key: Uint8Array;
}

export interface PackJob extends Paths {
  readonly kind: 'pack';
  /** Is kept readable, and cannot be changed. The sizes of the files are added to it. */
  readonly header: object;
}

export interface UnpackJob extends Paths {
  readonly kind: 'unpack';
}

/** What `readHeader` finds beside what was packed. */
export interface ImageSizes {
  readonly sizes: Readonly<Record<string, number>>;
}

async function* bodyOf(job: PackJob): AsyncGenerator<Buffer> {
  for (const name of WHOLE) yield* createReadStream(join(job.image, name), { highWaterMark: WINDOW });
  yield* differences(join(job.image, PAGES), job.template);
}

/** Resolves with the size of the file when it is on the disk. It is whole or, after a crash, of no use. */
export async function pack(job: PackJob): Promise<number> {
  const sizes: Record<string, number> = {};
  for (const name of [...WHOLE, PAGES]) sizes[name] = (await stat(join(job.image, name))).size;
  if (sizes[PAGES]! % PAGE !== 0) throw new Error('the image does not consist of pages');
  const header = Buffer.from(JSON.stringify({ ...job.header, sizes } satisfies ImageSizes));
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(CIPHER, job.key, iv, TAG).setAAD(header);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(header.length);
  const zstd = createZstdCompress({
    chunkSize: WINDOW,
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
  });
  await pipeline(
    bodyOf(job),
    zstd,
    cipher,
    async function* (content: AsyncIterable<Buffer>) {
      yield Buffer.concat([MAGIC, length, header, iv]);
      yield* content;
      yield cipher.getAuthTag();
    },
    createWriteStream(job.file, { mode: 0o600, flush: true }),
  );
  return (await stat(job.file)).size;
}

export interface OpenedImage {
  readonly header: Buffer;
  readonly iv: Buffer;
  /** Where the encrypted part begins and ends. */
  readonly start: number;
  readonly end: number;
}

/** Rejects where it is none of ours. Nothing in it is proven to be authentic yet. */
async function openImage(handle: FileHandle): Promise<OpenedImage> {
  const { size } = await handle.stat();
  const fixed = MAGIC.length + 4;
  if (size < fixed + IV_BYTES + TAG_BYTES) throw new Error('the image is too short');
  const first = await readExactly(handle, 0, fixed);
  if (!first.subarray(0, MAGIC.length).equals(MAGIC)) throw new Error('the image has an unknown format');
  const length = first.readUInt32LE(MAGIC.length);
  const start = fixed + length + IV_BYTES;
  if (length > MAX_HEADER || start + TAG_BYTES > size) throw new Error('the image is cut off');
  const rest = await readExactly(handle, fixed, length + IV_BYTES);
  return { header: rest.subarray(0, length), iv: rest.subarray(length), start, end: size - TAG_BYTES };
}

/** What it was packed with. Only `unpack` proves that it is authentic. */
export async function readHeader(file: string): Promise<unknown> {
  const handle = await open(file, 'r');
  try {
    return JSON.parse((await openImage(handle)).header.toString()) as unknown;
  } finally {
    await handle.close();
  }
}

async function* copied(reader: Reader, count: number): AsyncGenerator<Buffer> {
  for (let left = count; left > 0; ) {
    const part = await reader.some(Math.min(left, WINDOW));
    if (part === undefined) throw new Error('the image ends too early');
    left -= part.length;
    yield part;
  }
}

/** Writes the three files into the folder `image`. Rejects, whatever it has written, if one byte is another. */
export async function unpack(job: UnpackJob): Promise<void> {
  const handle = await open(job.file, 'r');
  let template: PageFile | undefined;
  try {
    const { header, iv, start, end } = await openImage(handle);
    const { sizes } = JSON.parse(header.toString()) as ImageSizes;
    const tag = await readExactly(handle, end, TAG_BYTES);
    const decipher = createDecipheriv(CIPHER, job.key, iv, TAG).setAAD(header).setAuthTag(tag);
    if (job.template !== undefined) template = await PageFile.open(job.template);
    const content = createReadStream(job.file, { start, end: end - 1, highWaterMark: WINDOW });
    await pipeline(content, decipher, createZstdDecompress({ chunkSize: WINDOW }), async (plain) => {
      const reader = new Reader(plain as AsyncIterable<Buffer>);
      for (const name of WHOLE) await write(join(job.image, name), copied(reader, sizes[name]!));
      await write(join(job.image, PAGES), restored(reader, sizes[PAGES]! / PAGE, template));
      if ((await reader.some(1)) !== undefined) throw new Error('the image has more than it says');
    });
  } finally {
    await handle.close();
    await template?.close();
  }
}

function write(path: string, content: AsyncIterable<Buffer>): Promise<void> {
  return pipeline(content, createWriteStream(path, { mode: 0o600, highWaterMark: WINDOW }));
}

// --- the thread -----------------------------------------------------------------------------------

if (workerData === THREAD_MARK && parentPort !== null) {
  const port = parentPort;
  port.on('message', ({ id, job }: { id: number; job: PackJob | UnpackJob }) => {
    (job.kind === 'pack' ? pack(job) : unpack(job)).then(
      (bytes) => port.postMessage({ id, result: bytes ?? 0 }),
      (error: unknown) =>
        port.postMessage({ id, error: error instanceof Error ? error.message : String(error) }),
    );
  });
}
