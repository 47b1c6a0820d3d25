import { Injectable } from '@nestjs/common';
import { BlobsService } from '../storage/blobs.service.js';
import { ContextService } from './context/context.service.js';
import { InlineContents } from './context/inline-contents.js';
import type { Include } from './include.schema.js';
import type { InputItem, StoredItem } from './input.schema.js';
import { ResponsePresenter } from './response.presenter.js';

/** Items as other features take and show them. */
@Injectable()
export class ItemsService {
  constructor(
    private readonly context: ContextService,
    private readonly presenter: ResponsePresenter,
    private readonly inline: InlineContents,
    private readonly blobs: BlobsService,
  ) {}

  /**
   * Calls `store` with the items as they are to be stored: references resolved, ids and statuses filled in,
   * large content in blobs, which are kept until then.
   */
  async accept<T>(
    projectId: string,
    items: readonly InputItem[],
    store: (items: readonly StoredItem[]) => Promise<T>,
  ): Promise<T> {
    const accepted = await this.context.input(projectId, items);
    return this.blobs.within(projectId, async (writer) => store(await this.inline.keep(writer, accepted)));
  }

  show(projectId: string, item: unknown, include: readonly Include[]): Promise<unknown> {
    return this.presenter.item(projectId, item as never, include);
  }

  /** Items of one reply. */
  showAll(projectId: string, items: readonly unknown[], include: readonly Include[]): Promise<unknown[]> {
    return this.presenter.items(projectId, items as never, include);
  }
}
