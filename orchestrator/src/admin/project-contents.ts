import { Injectable } from '@nestjs/common';
import { ContainerInventory } from '../containers/inventory.lookup.js';
import { ConversationsService } from '../conversations/conversations.service.js';
import { FilesService } from '../files/files.service.js';
import { ResponseUsage } from '../responses/response-usage.lookup.js';

/** What stands in the way of deleting a project. */
export interface ProjectContents {
  readonly containers: number;
  readonly files: number;
  readonly responses: number;
  readonly conversations: number;
}

/** Asks each feature what it holds for a project. */
@Injectable()
export class ProjectContentsService {
  constructor(
    private readonly containers: ContainerInventory,
    private readonly files: FilesService,
    private readonly responses: ResponseUsage,
    private readonly conversations: ConversationsService,
  ) {}

  async of(projectId: string): Promise<ProjectContents> {
    const [containers, files, responses, conversations] = await Promise.all([
      this.containers.count(projectId),
      this.files.count(projectId),
      this.responses.count(projectId),
      this.conversations.count(projectId),
    ]);
    return { containers, files, responses, conversations };
  }
}
