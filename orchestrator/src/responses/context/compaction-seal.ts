import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import { SecretBox } from '../../auth/secret-box.js';
import { ApiError } from '../../common/api-error.js';
import type { InputItem } from '../input.schema.js';

/** What a compaction item stands for. */
const compactedSchema = z.object({
  summary: z.string(),
  /** Containers of the calls it replaces, newest first, so that variables and files are found again. */
  containers: z.array(z.string()),
});

export type Compacted = z.output<typeof compactedSchema>;
/** Compaction items of a context, opened. */
export type Opened = ReadonlyMap<InputItem, Compacted>;

/** Part of the seal, so that no project reads the items of another one. */
const ownerOf = (projectId: string): string => `compaction:${projectId}`;

/** Makes and reads the content of compaction items: clients keep it, and can neither read nor change it. */
@Injectable()
export class CompactionSeal {
  constructor(private readonly box: SecretBox) {}

  close(projectId: string, compacted: Compacted): string {
    return this.box.seal(ownerOf(projectId), JSON.stringify(compacted));
  }

  /** Throws 400 for one that was not made here for this project. `own`: index of the request's first item. */
  open(projectId: string, items: readonly InputItem[], own: number): Opened {
    const opened = new Map<InputItem, Compacted>();
    for (const [index, item] of items.entries()) {
      if (item.type !== 'compaction') continue;
      const text = this.box.tryOpen(ownerOf(projectId), item.encrypted_content);
      if (text === null) {
        const param = index < own ? 'input' : `input[${index - own}].encrypted_content`;
        throw new ApiError(
          'invalid_value',
          `Invalid '${param}': expected the content of a compaction item that this server made for this project.`,
          { param },
        );
      }
      opened.set(item, compactedSchema.parse(JSON.parse(text)));
    }
    return opened;
  }
}
