/**
 * What `include` decides (contract §4.2): the same stored item is shown with `outputs: null` or
 * filled, figures as data URLs. Applied to every event, reply and list entry, never stored.
 */
import { Injectable } from '@nestjs/common';
import { ContainerFileLookup } from '../files/container-file.lookup.js';
import { BlobsService } from '../storage/blobs.service.js';
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

@Injectable()
export class ResponsePresenter {
  constructor(
    private readonly files: ContainerFileLookup,
    private readonly blobs: BlobsService,
  ) {}

  async event(projectId: string, event: StreamEvent, include: readonly Include[]): Promise<StreamEvent> {
    if (event.response && event.response.output.length > 0) {
      return { ...event, response: await this.response(projectId, event.response, include) };
    }
    if (event.type === 'response.output_item.done' && event.item) {
      return {
        ...event,
        item: (await this.item(projectId, event.item as unknown as AnyItem, include)) as never,
      };
    }
    return include.includes(LOGPROBS) ? event : withoutLogprobs(event);
  }

  async response(
    projectId: string,
    response: ResponseObject,
    include: readonly Include[],
  ): Promise<ResponseObject> {
    const output = await Promise.all(
      response.output.map((item) => this.item(projectId, item as unknown as AnyItem, include)),
    );
    return { ...response, output: output as never };
  }

  async item(projectId: string, item: AnyItem, include: readonly Include[]): Promise<AnyItem> {
    if (item.type === 'code_interpreter_call') {
      if (!include.includes(OUTPUTS)) return { ...item, outputs: null };
      const outputs = (item['outputs'] ?? []) as readonly CallOutputEntry[];
      return { ...item, outputs: await Promise.all(outputs.map((output) => this.output(projectId, output))) };
    }
    if (item.type === 'reasoning' && !include.includes(ENCRYPTED) && 'encrypted_content' in item) {
      const { encrypted_content: _, ...rest } = item;
      return rest as AnyItem;
    }
    if (item.type === 'message' && !include.includes(LOGPROBS) && Array.isArray(item['content']))
      return { ...item, content: item['content'].map(withoutLogprobs) };
    return item;
  }

  private async output(projectId: string, output: CallOutputEntry): Promise<CallOutputEntry> {
    if (output.type !== 'image' || !('file_id' in output)) return output;
    const file = await this.files.find(projectId, output.file_id);
    if (!file) return { type: 'logs', logs: '[This figure was deleted.]' };
    return { type: 'image', url: await this.dataUrl(file) };
  }

  /** The whole image in one URL (contract §2.7). */
  async dataUrl(file: { readonly path: string; readonly blobSha256: string }): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of (await this.blobs.read(file.blobSha256)) as AsyncIterable<Buffer>)
      chunks.push(chunk);
    const mime = file.path.endsWith('.jpg') ? 'image/jpeg' : 'image/png';
    return `data:${mime};base64,${Buffer.concat(chunks).toString('base64')}`;
  }
}
