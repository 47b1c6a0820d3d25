import { newId } from '../common/ids.js';
import { toUnix } from '../common/time.js';
import type { EventType, OutboxEvent } from './event.types.js';

/** Something that happened just now; `subjectId` is the response or container it happened to. */
export const newEvent = (type: EventType, subjectId: string, now: Date): OutboxEvent => ({
  id: newId.event(),
  object: 'event',
  type,
  created_at: toUnix(now),
  data: { id: subjectId },
});
