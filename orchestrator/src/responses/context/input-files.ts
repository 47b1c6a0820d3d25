/** `input_file` and `input_image` parts: their content is put into the container and named to the model. */
import { Injectable } from '@nestjs/common';
import { ApiError } from '../../common/api-error.js';
import { FilesService, type StoredFile } from '../../files/files.service.js';
import { BlobsService } from '../../storage/blobs.service.js';
import type { InputItem } from '../input.schema.js';
import type { ResponseContainer } from '../container/response-container.js';
import { splitDataUrl } from './data-url.js';
import { InlineContents, inlineOf } from './inline-contents.js';
import type { PartNotes } from './messages.js';

type MessagePart = Exclude<Extract<InputItem, { type: 'message' }>['content'], string>[number];
type FilePart = Extract<MessagePart, { type: 'input_file' | 'input_image' }>;

/** An image that a model is shown by its `file_id`, and all of them together. */
export const MAX_IMAGE_BYTES = 20 * 1024 * 1024;
const MAX_IMAGE_BYTES_IN_ALL = 50 * 1024 * 1024;
const NOT_BASE64 = /[^A-Za-z0-9+/_=-]/;
const EXTENSIONS: Readonly<Record<string, string>> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/gif': 'gif',
  'image/webp': 'webp',
};

/** Padding at the end, or none. */
const isPadded = (base64: string): boolean => {
  const padding = base64.indexOf('=');
  return padding < 0 || (base64.length - padding <= 2 && /^=+$/.test(base64.slice(padding)));
};

/** Content in a request: a data URL, or base64. Throws 400 for anything else. Linear in its length. */
export function decodeInline(text: string, param: string): { mime: string; data: Buffer } {
  const parts = splitDataUrl(text);
  const base64 = parts && /\s/.test(parts.base64) ? parts.base64.replace(/\s/g, '') : parts?.base64;
  if (!parts || base64 === undefined || NOT_BASE64.test(base64) || !isPadded(base64)) {
    throw new ApiError('invalid_value', `Invalid '${param}': expected a data URL with base64, or base64.`, {
      param,
    });
  }
  return { mime: parts.mime, data: Buffer.from(base64, 'base64') };
}

interface PlacedPart {
  readonly part: FilePart;
  /** JSON path, as the caller of this request would write it. */
  readonly param: string;
  /** Of an earlier turn. */
  readonly again: boolean;
}

/** Every file and image, of messages and of what functions answered. */
function filePartsOf(items: readonly InputItem[], own: number): PlacedPart[] {
  return items.flatMap((item, index) => {
    const [field, content] =
      item.type === 'message'
        ? ['content', item.content]
        : item.type === 'function_call_output'
          ? ['output', item.output]
          : ['', ''];
    if (typeof content === 'string') return [];
    const again = index < own;
    return content.flatMap((part, position) =>
      part.type === 'input_file' || part.type === 'input_image'
        ? [{ part, param: again ? 'input' : `input[${index - own}].${field}[${position}]`, again }]
        : [],
    );
  });
}

@Injectable()
export class InputFiles {
  constructor(
    private readonly files: FilesService,
    private readonly blobs: BlobsService,
    private readonly inlineContents: InlineContents,
  ) {}

  /**
   * Places every file of these items; returns how they are told to the model. `own`: index of the
   * request's first item. What is wrong with its files is refused; one of an earlier turn may be gone.
   */
  async place(
    projectId: string,
    { items, own }: { readonly items: readonly InputItem[]; readonly own: number },
    container: ResponseContainer | null,
    vision: boolean,
  ): Promise<Pick<PartNotes, 'pathOf' | 'imageOf'>> {
    const paths = new Map<FilePart, string>();
    const parts = filePartsOf(items, own);
    for (const { part, param, again } of parts) {
      await unlessGone(again, async () => {
        const path = container
          ? await this.intoContainer(projectId, { part, param, again }, container)
          : null;
        if (!container) await this.check(projectId, part, param);
        if (path) paths.set(part, path);
      });
    }
    const images = vision ? await this.images(projectId, parts) : new Map<FilePart, string>();
    return { pathOf: (part) => paths.get(part) ?? null, imageOf: (part) => images.get(part) ?? null };
  }

  /**
   * Data URLs of images, newest first. What the request itself shows must fit; of earlier turns, those that
   * do not are left out.
   */
  private async images(projectId: string, parts: readonly PlacedPart[]): Promise<Map<FilePart, string>> {
    const images = new Map<FilePart, string>();
    let room = MAX_IMAGE_BYTES_IN_ALL;
    for (const { part, param, again } of parts.toReversed()) {
      if (part.type !== 'input_image') continue;
      const inline = inlineOf(part);
      const url = inline ? await this.inlineContents.textOf(inline) : part.image_url;
      if (url) {
        images.set(part, url);
        continue;
      }
      await unlessGone(again, async () => {
        const file = await this.files.get(projectId, part.file_id ?? '', `${param}.file_id`);
        if (file.bytes > MAX_IMAGE_BYTES || file.bytes > room) {
          if (!again) throw imageTooLarge(file, `${param}.file_id`);
          return;
        }
        room -= file.bytes;
        images.set(part, await this.imageUrl(file));
      });
    }
    return images;
  }

  private async intoContainer(
    projectId: string,
    { part, param, again }: PlacedPart,
    container: ResponseContainer,
  ): Promise<string> {
    if (part.file_id) return container.addFile(part.file_id, `${param}.file_id`);
    const inline = inlineOf(part);
    if (inline) return container.addContent({ filename: nameOf(part, inline.head), ...inline }, again);
    const { name, data } = this.inline(part, param);
    const blob = await this.blobs.write(data, { projectId });
    return container.addContent({ filename: name, ...blob }, again);
  }

  private async check(projectId: string, part: FilePart, param: string): Promise<void> {
    if (part.file_id) await this.files.get(projectId, part.file_id, `${param}.file_id`);
    else if (!inlineOf(part)) this.inline(part, param);
  }

  private inline(part: FilePart, param: string): { name: string; data: Buffer } {
    if (part.type === 'input_file') {
      if (part.file_data)
        return {
          name: nameOf(part, ''),
          data: decodeInline(part.file_data, `${param}.file_data`).data,
        };
      if (part.file_url) {
        throw new ApiError(
          'unsupported_parameter',
          "This server does not fetch URLs. Upload the file through /v1/files and send its 'file_id', or send 'file_data'.",
          { param: `${param}.file_url` },
        );
      }
      throw new ApiError(
        'missing_required_parameter',
        `Missing required parameter: '${param}.file_id' (or file_data).`,
        { param },
      );
    }
    if (!part.image_url)
      throw new ApiError(
        'missing_required_parameter',
        `Missing required parameter: '${param}.image_url' (or file_id).`,
        { param },
      );
    if (!part.image_url.startsWith('data:')) {
      throw new ApiError(
        'unsupported_parameter',
        "This server does not fetch URLs. Send the image as a data URL, or upload it and send its 'file_id'.",
        { param: `${param}.image_url` },
      );
    }
    const { data } = decodeInline(part.image_url, `${param}.image_url`);
    return { name: nameOf(part, part.image_url), data };
  }

  private async imageUrl(file: StoredFile): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of (await this.files.read(file)) as AsyncIterable<Buffer>) chunks.push(chunk);
    const extension = file.filename.slice(file.filename.lastIndexOf('.') + 1).toLowerCase();
    const mime = Object.entries(EXTENSIONS).find(([, each]) => each === extension)?.[0] ?? 'image/png';
    return `data:${mime};base64,${Buffer.concat(chunks).toString('base64')}`;
  }
}

/** `head`: what stands before its base64. */
function nameOf(part: FilePart, head: string): string {
  if (part.type === 'input_file') return part.filename ?? 'file';
  return `image.${EXTENSIONS[splitDataUrl(head)?.mime ?? ''] ?? 'png'}`;
}

/** A file of an earlier turn may have been deleted since. */
async function unlessGone(again: boolean, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const gone = error instanceof ApiError && error.code === 'file_not_found';
    if (!again || !gone) throw error;
  }
}

const imageTooLarge = (file: StoredFile, param: string): ApiError =>
  new ApiError(
    'invalid_value',
    `Invalid '${param}': the image has ${file.bytes} bytes. A model is shown images of at most ${MAX_IMAGE_BYTES} bytes each, and of ${MAX_IMAGE_BYTES_IN_ALL} bytes together.`,
    { param },
  );
