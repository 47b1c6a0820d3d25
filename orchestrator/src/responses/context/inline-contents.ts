/**
 * Content that comes inside an input item (`file_data`, a data URL) and is too large for a row. It is kept as a
 * blob, and the part names it; whoever shows the item puts the text back, to the letter. A trigger on the tables
 * of items refers to the blob for as long as the item is there.
 */
import { Readable } from 'node:stream';
import { Injectable } from '@nestjs/common';
import { type BlobWriter, BlobsService } from '../../storage/blobs.service.js';
import type { StoredItem } from '../input.schema.js';
import { splitDataUrl } from './data-url.js';

/** Shorter texts stay where they are. */
const LEAST_CHARACTERS = 16 * 1024;
/** Characters decoded before others get their turn; whole groups of four. */
const PIECE = 192 * 1024;
/** Bytes of a group of base64. */
const GROUP = 3;

export interface InlineContent {
  readonly sha256: string;
  readonly bytes: number;
  /** What stood before the base64. */
  readonly head: string;
}

interface Part {
  readonly type: string;
  readonly file_data?: string | undefined;
  readonly image_url?: string | undefined;
  /** Stands for the text; requests cannot say it, their schemas leave it out. */
  readonly inline_content?: InlineContent;
}

const FIELDS: Readonly<Record<string, 'file_data' | 'image_url'>> = {
  input_file: 'file_data',
  input_image: 'image_url',
};

/** The content of a part that is kept as a blob. */
export const inlineOf = (part: object): InlineContent | undefined => (part as Part).inline_content;

/** The text is not what its content would be written as, so it cannot be put back from that. */
class NotExact extends Error {}

function* piecesOf(base64: string): Generator<Buffer> {
  for (let at = 0; at < base64.length; at += PIECE) {
    const piece = base64.slice(at, at + PIECE);
    const bytes = Buffer.from(piece, 'base64');
    if (bytes.toString('base64') !== piece) throw new NotExact();
    yield bytes;
  }
}

@Injectable()
export class InlineContents {
  constructor(private readonly blobs: BlobsService) {}

  /**
   * Called before items are stored, in the scope of `writer`. What cannot be written back to the letter stays as
   * it is. Fails as `BlobWriter.write` does.
   */
  async keep<T extends StoredItem>(writer: BlobWriter, items: readonly T[]): Promise<T[]> {
    const kept: T[] = [];
    for (const item of items) kept.push(await mapParts(item, (part) => keepPart(writer, part)));
    return kept;
  }

  /** The item with all its texts, as it was sent. */
  async restore<T extends object>(item: T): Promise<T> {
    return mapParts(item, async (part) => {
      const { inline_content, ...rest } = part;
      if (!inline_content) return part;
      return { ...rest, [FIELDS[part.type]!]: await this.textOf(inline_content) };
    });
  }

  async textOf({ head, sha256 }: InlineContent): Promise<string> {
    const texts = [head];
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of (await this.blobs.read(sha256)) as AsyncIterable<Buffer>) {
      const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const whole = bytes.length - (bytes.length % GROUP);
      texts.push(bytes.toString('base64', 0, whole));
      rest = bytes.subarray(whole);
    }
    texts.push(rest.toString('base64'));
    return texts.join('');
  }
}

async function keepPart(writer: BlobWriter, part: Part): Promise<Part> {
  const field = FIELDS[part.type];
  const text = field && part[field];
  if (!field || !text || text.length < LEAST_CHARACTERS) return part;
  const base64 = splitDataUrl(text)?.base64;
  if (base64 === undefined || (field === 'image_url' && base64 === text)) return part;
  try {
    const blob = await writer.write(Readable.from(piecesOf(base64), { objectMode: false }));
    const { [field]: _, ...rest } = part;
    return { ...rest, inline_content: { ...blob, head: text.slice(0, text.length - base64.length) } };
  } catch (error) {
    if (error instanceof NotExact) return part;
    throw error;
  }
}

/** Of messages, and of what functions answered; the same item when no part changes. */
async function mapParts<T extends object>(item: T, map: (part: Part) => Promise<Part>): Promise<T> {
  const { type } = item as { type?: unknown };
  const field = type === 'message' ? 'content' : type === 'function_call_output' ? 'output' : null;
  const parts: unknown = field && (item as Record<string, unknown>)[field];
  if (!field || !Array.isArray(parts)) return item;
  const mapped: Part[] = [];
  for (const part of parts as Part[]) mapped.push(FIELDS[part.type] ? await map(part) : part);
  return mapped.every((part, index) => part === parts[index]) ? item : { ...item, [field]: mapped };
}
