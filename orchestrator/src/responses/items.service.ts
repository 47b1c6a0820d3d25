import { Injectable } from '@nestjs/common';
import { ContextService } from './context/context.service.js';
import type { Include } from './include.schema.js';
import type { InputItem, StoredItem } from './input.schema.js';
import { ResponsePresenter } from './response.presenter.js';

/** Items as other features take and show them. */
@Injectable()
export class ItemsService {
  constructor(
    private readonly context: ContextService,
    private readonly presenter: ResponsePresenter,
  ) {}

  /** References resolved, ids and statuses filled in; ready to be stored. */
  accept(projectId: string, items: readonly InputItem[]): Promise<StoredItem[]> {
    return this.context.input(projectId, items);
  }

  show(projectId: string, item: unknown, include: readonly Include[]): Promise<unknown> {
    return this.presenter.item(projectId, item as never, include);
  }

  /** Items of one reply. */
  showAll(projectId: string, items: readonly unknown[], include: readonly Include[]): Promise<unknown[]> {
    return this.presenter.items(projectId, items as never, include);
  }
}
