/**
 * Pages of memory as their difference to those of a template, and back. What the thread of `image-thread.ts` runs
 * has to be found by Node as it was written too: its imports end in `.ts`, and it has no parameter properties.
 */
import { hash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';

export const PAGE = 4_096;
/** Bytes that are read and written at a time. */
export const WINDOW = 256 * PAGE;
const HEAD = 5;
const SAME = 0;
const JUMP = 1;
const DIFFERENT = 2;

/** A file of pages, read through a window that moves forwards. */
export class PageFile {
  private buffer: Buffer = Buffer.alloc(0);
  private start = 0;

  private readonly handle: FileHandle;
  readonly pages: number;

  private constructor(handle: FileHandle, pages: number) {
    this.handle = handle;
    this.pages = pages;
  }

  static async open(path: string): Promise<PageFile> {
    const handle = await open(path, 'r');
    return new PageFile(handle, Math.floor((await handle.stat()).size / PAGE));
  }

  /** If it is in the window already, which spares a turn of the event loop for each page. */
  near(index: number): Buffer | undefined {
    const at = index * PAGE - this.start;
    return at >= 0 && at + PAGE <= this.buffer.length ? this.buffer.subarray(at, at + PAGE) : undefined;
  }

  /** Undefined beyond the end. */
  async page(index: number): Promise<Buffer | undefined> {
    if (index >= this.pages) return undefined;
    const near = this.near(index);
    if (near !== undefined) return near;
    this.start = index * PAGE;
    this.buffer = await readExactly(this.handle, this.start, Math.min(WINDOW, (this.pages - index) * PAGE));
    return this.buffer.subarray(0, PAGE);
  }

  /** As many as lie in the window from there on, at most `count`. */
  async run(index: number, count: number): Promise<Buffer> {
    const first = await this.page(index);
    if (first === undefined) throw new Error('the template is shorter than it was');
    const at = index * PAGE - this.start;
    return this.buffer.subarray(at, Math.min(this.buffer.length, at + count * PAGE));
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}

export async function readExactly(handle: FileHandle, start: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(buffer, at, length - at, start + at);
    if (bytesRead === 0) throw new Error('a file became shorter while it was read');
    at += bytesRead;
  }
  return buffer;
}

const digest = (page: Buffer): string => hash('md5', page, 'base64');

/** Where each different page of the template is. Kept for the template that was used last. */
const known = { path: '', index: new Map<string, number>() };

async function indexOf(path: string, template: PageFile): Promise<ReadonlyMap<string, number>> {
  if (known.path === path) return known.index;
  const index = new Map<string, number>();
  for (let at = 0; at < template.pages; at += 1)
    index.set(digest(template.near(at) ?? (await template.page(at))!), at);
  known.path = path;
  known.index = index;
  return index;
}

/** `into` becomes what it is not alike with `other`. Both have whole pages. */
function xor(into: Buffer, other: Buffer): void {
  const a = new Uint32Array(into.buffer, into.byteOffset, into.length / 4);
  if (other.byteOffset % 4 === 0) {
    const b = new Uint32Array(other.buffer, other.byteOffset, other.length / 4);
    for (let at = 0; at < b.length; at += 1) a[at]! ^= b[at]!;
  } else {
    for (let at = 0; at < other.length; at += 1) into[at]! ^= other[at]!;
  }
}

function head(op: number, value: number): Buffer {
  const bytes = Buffer.alloc(HEAD);
  bytes[0] = op;
  bytes.writeUInt32LE(value, 1);
  return bytes;
}

/** Collects records, so that few large pieces are compressed instead of many small ones. */
class Records {
  private same = 0;
  private different: Buffer[] = [];
  private parts: Buffer[] = [];
  bytes = 0;

  addSame(): void {
    if (this.different.length > 0) this.close();
    this.same += 1;
  }

  addJump(to: number): void {
    this.close();
    this.add(head(JUMP, to));
    this.same = 1;
  }

  addDifferent(difference: Buffer): void {
    if (this.same > 0) this.close();
    this.different.push(difference);
    this.bytes += difference.length;
  }

  /** All so far. */
  take(): Buffer {
    this.close();
    const all = Buffer.concat(this.parts);
    this.parts = [];
    this.bytes = 0;
    return all;
  }

  private close(): void {
    if (this.same > 0) this.add(head(SAME, this.same));
    if (this.different.length > 0) {
      this.add(head(DIFFERENT, this.different.length));
      this.parts.push(...this.different);
    }
    this.same = 0;
    this.different = [];
  }

  private add(bytes: Buffer): void {
    this.parts.push(bytes);
    this.bytes += bytes.length;
  }
}

export async function* differences(path: string, templatePath: string | undefined): AsyncGenerator<Buffer> {
  const pages = await PageFile.open(path);
  const template = templatePath === undefined ? undefined : await PageFile.open(templatePath);
  try {
    const index = template === undefined ? undefined : await indexOf(templatePath!, template);
    const records = new Records();
    let expected = 0;
    for (let at = 0; at < pages.pages; at += 1) {
      const page = pages.near(at) ?? (await pages.page(at))!;
      const guess = template?.near(expected) ?? (await template?.page(expected));
      if (guess?.equals(page) === true) {
        records.addSame();
        expected += 1;
        continue;
      }
      const found = index?.get(digest(page));
      if (found === undefined) {
        const difference = Buffer.from(page);
        if (guess !== undefined) xor(difference, guess);
        records.addDifferent(difference);
        expected += 1;
      } else {
        records.addJump(found);
        expected = found + 1;
      }
      if (records.bytes >= WINDOW) yield records.take();
    }
    yield records.take();
  } finally {
    await pages.close();
    await template?.close();
  }
}

/** Takes exactly what is asked for out of a stream of chunks. */
export class Reader {
  private readonly chunks: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(content: AsyncIterable<Buffer>) {
    this.chunks = content[Symbol.asyncIterator]();
  }

  /** At least one byte and at most so many; undefined at the end. */
  async some(most: number): Promise<Buffer | undefined> {
    while (this.rest.length === 0) {
      const { value, done } = await this.chunks.next();
      if (done === true) return undefined;
      this.rest = value;
    }
    const taken = this.rest.subarray(0, most);
    this.rest = this.rest.subarray(taken.length);
    return taken;
  }

  async exactly(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const part = await this.some(left);
      if (part === undefined) throw new Error('the image ends too early');
      parts.push(part);
      left -= part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts, count);
  }
}

export async function* restored(
  reader: Reader,
  count: number,
  template: PageFile | undefined,
): AsyncGenerator<Buffer> {
  let expected = 0;
  for (let left = count; left > 0; ) {
    const bytes = await reader.exactly(HEAD);
    const value = bytes.readUInt32LE(1);
    if (bytes[0] === JUMP) expected = value;
    else if (value > left) throw new Error('the image has too many pages');
    else if (bytes[0] === SAME) {
      if (template === undefined) throw new Error('the image needs a template');
      for (let wanted = value; wanted > 0; ) {
        // A copy: the window is used again before the writer is done with it.
        const run = Buffer.from(await template.run(expected, wanted));
        expected += run.length / PAGE;
        wanted -= run.length / PAGE;
        yield run;
      }
      left -= value;
    } else if (bytes[0] === DIFFERENT) {
      for (let wanted = value; wanted > 0; ) {
        const count = Math.min(wanted, WINDOW / PAGE);
        const run = Buffer.from(await reader.exactly(count * PAGE));
        for (let at = 0; at < run.length; at += PAGE, expected += 1) {
          const guess = template?.near(expected) ?? (await template?.page(expected));
          if (guess !== undefined) xor(run.subarray(at, at + PAGE), guess);
        }
        wanted -= count;
        yield run;
      }
      left -= value;
    } else throw new Error('the image is not understood');
  }
}
