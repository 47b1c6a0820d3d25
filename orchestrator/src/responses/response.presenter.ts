/**
 * What `include` decides (docs/contract/code-interpreter.md): the same stored item is shown with `outputs: null` or
 * filled, figures as data URLs. Applied to every event, reply and list entry, never stored.
 */
import { Injectable } from '@nestjs/common';
import { ContainerFileLookup } from '../files/container-file.lookup.js';
import { BlobsService } from '../storage/blobs.service.js';
import { InlineContents } from './context/inline-contents.js';
import type { Include } from './response.schema.js';
import type { CallOutputEntry, ResponseObject, StreamEvent } from './response.types.js';

const OUTPUTS: Include = 'code_interpreter_call.outputs';
const ENCRYPTED: Include = 'reasoning.encrypted_content';
const LOGPROBS: Include = 'message.output_text.logprobs';

interface AnyItem {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** An event, or a part of a message: one that carries probabilities loses them. */
function withoutLogprobs<T>(value: T): T {
  const { logprobs, part } = value as { logprobs?: unknown; part?: unknown };
  if (Array.isArray(logprobs) && logprobs.length > 0) return { ...value, logprobs: [] };
  return typeof part === 'object' && part !== null ? { ...value, part: withoutLogprobs(part) } : value;
}

/** One figure that is shown in a reply, and all of them together, in bytes of the image. */
const MAX_FIGURE_BYTES = 20 * 1024 * 1024;
const MAX_SHOWN_BYTES = 32 * 1024 * 1024;
/** Figures looked up for one reply. */
const MAX_SHOWN = 500;

/** What may still be put into one reply, or one run. */
class Room {
  constructor(
    private bytes = MAX_SHOWN_BYTES,
    private figures = MAX_SHOWN,
  ) {}

  /** Whether another figure may be looked up. */
  takeFigure(): boolean {
    this.figures -= 1;
    return this.figures >= 0;
  }

  takeBytes(bytes: number): boolean {
    if (bytes > MAX_FIGURE_BYTES || bytes > this.bytes) return false;
    this.bytes -= bytes;
    return true;
  }
}

const MIME: Readonly<Record<string, string>> = { png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg' };

/** Of a path that a figure can have, else undefined. */
const mimeOf = (path: string): string | undefined =>
  MIME[path.slice(path.lastIndexOf('.') + 1).toLowerCase()];

interface Figure {
  readonly path: string;
  readonly blobSha256: string;
  readonly bytes: number | bigint;
}

const note = (logs: string): CallOutputEntry => ({ type: 'logs', logs });

/** OpenAI says how closely an image is looked at also when nobody asked. */
const withDetail = (part: unknown): unknown =>
  (part as { type?: unknown }).type === 'input_image' ? { detail: 'auto', ...(part as object) } : part;

@Injectable()
export class ResponsePresenter {
  constructor(
    private readonly files: ContainerFileLookup,
    private readonly blobs: BlobsService,
    private readonly inline: InlineContents,
  ) {}

  async event(projectId: string, event: StreamEvent, include: readonly Include[]): Promise<StreamEvent> {
    if (event.response && event.response.output.length > 0) {
      return { ...event, response: await this.response(projectId, event.response, include) };
    }
    if (event.item) {
      const item = await this.item(projectId, event.item as unknown as AnyItem, include);
      return { ...event, item: item as never };
    }
    return include.includes(LOGPROBS) ? event : withoutLogprobs(event);
  }

  async response(
    projectId: string,
    response: ResponseObject,
    include: readonly Include[],
  ): Promise<ResponseObject> {
    const output = await this.items(projectId, response.output as never, include);
    return { ...response, output: output as never };
  }

  /** Items of one reply: its figures are read one after the other, and are bounded together. */
  async items(
    projectId: string,
    items: readonly { readonly type: string }[],
    include: readonly Include[],
  ): Promise<AnyItem[]> {
    const room = new Room();
    const shown: AnyItem[] = [];
    for (const item of items) shown.push(await this.item(projectId, item as AnyItem, include, room));
    return shown;
  }

  async item(
    projectId: string,
    stored: AnyItem,
    include: readonly Include[],
    room = new Room(),
  ): Promise<AnyItem> {
    const item = await this.inline.restore(stored);
    switch (item.type) {
      case 'code_interpreter_call':
        return include.includes(OUTPUTS)
          ? { ...item, outputs: await this.outputs(projectId, item, room) }
          : { ...item, outputs: null };
      case 'reasoning': {
        const { encrypted_content: _, ...rest } = item;
        return include.includes(ENCRYPTED) ? item : (rest as AnyItem);
      }
      case 'message': {
        if (!Array.isArray(item['content'])) return item;
        const content = item['content'].map(withDetail);
        return { ...item, content: include.includes(LOGPROBS) ? content : content.map(withoutLogprobs) };
      }
      case 'function_call_output':
        return Array.isArray(item['output']) ? { ...item, output: item['output'].map(withDetail) } : item;
      default:
        return item;
    }
  }

  /** Shows a model the figures of one run; null for those beyond what a run may send. */
  figuresForModel(): (figure: Figure) => Promise<string | null> {
    const room = new Room();
    return async (figure) => (room.takeBytes(Number(figure.bytes)) ? this.dataUrl(figure) : null);
  }

  private async outputs(projectId: string, item: AnyItem, room: Room): Promise<CallOutputEntry[]> {
    const outputs = (item['outputs'] ?? []) as readonly CallOutputEntry[];
    const shown: CallOutputEntry[] = [];
    for (const output of outputs) {
      if (output.type !== 'image' || 'url' in output) shown.push(output);
      else shown.push(await this.figure(projectId, item['container_id'], output.file_id, room));
    }
    return shown;
  }

  /** A figure of that container as a data URL, or a line that says why not. */
  private async figure(
    projectId: string,
    containerId: unknown,
    fileId: string | undefined,
    room: Room,
  ): Promise<CallOutputEntry> {
    if (fileId === undefined) return note('[A figure was shown.]');
    if (!room.takeFigure()) return tooMuch(fileId);
    const file = await this.files.find(projectId, fileId);
    if (!file || file.containerId !== containerId || mimeOf(file.path) === undefined)
      return note('[This figure was deleted.]');
    if (!room.takeBytes(file.bytes)) return tooMuch(fileId);
    return { type: 'image', url: await this.dataUrl(file) };
  }

  /** The whole image in one URL. Callers bound its size. */
  private async dataUrl(file: Figure): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of (await this.blobs.read(file.blobSha256)) as AsyncIterable<Buffer>)
      chunks.push(chunk);
    return `data:${mimeOf(file.path) ?? 'image/png'};base64,${Buffer.concat(chunks).toString('base64')}`;
  }
}

const tooMuch = (fileId: string): CallOutputEntry =>
  note(`[This figure is left out, as the reply would be too large. Download it as file ${fileId}.]`);
