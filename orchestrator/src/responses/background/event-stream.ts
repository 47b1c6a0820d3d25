/** The stored events of a response, then live ones, until the terminal event (docs/contract/background.md). */
import { Injectable } from '@nestjs/common';
import { QueuesLifecycle } from '../../queues/queues.lifecycle.js';
import { isTerminal } from '../record/response.state.js';
import type { StreamEvent } from '../response.types.js';
import { EventLogRepository } from '../record/event-log.repository.js';
import { LiveEvents } from './live-events.js';

const BATCH = 500;

@Injectable()
export class EventStream {
  private stopping = false;

  constructor(
    private readonly log: EventLogRepository,
    private readonly live: LiveEvents,
    lifecycle: QueuesLifecycle,
  ) {
    lifecycle.stopping.on(() => (this.stopping = true));
  }

  /**
   * Events with numbers above `after`; ends with the response, when `signal` aborts, or when the server
   * stops: the next server goes on with them, and an open stream would keep this one from ending.
   */
  async *follow(
    projectId: string,
    responseId: string,
    after: number,
    signal: AbortSignal,
  ): AsyncGenerator<StreamEvent> {
    let last = after;
    while (!signal.aborted && !this.stopping) {
      const woken = this.live.next(responseId, signal);
      const status = await this.log.statusOf(projectId, responseId);
      const events = await this.log.read(responseId, last, BATCH);
      for (const event of events) {
        yield event;
        last = event.sequence_number;
      }
      if (events.length === BATCH) continue;
      // Read before the events: a response that was over then has no more of them.
      if (!status || isTerminal(status)) return;
      await woken;
    }
  }
}
