/** Writes the events of a background run: at once when idle, in batches while a write is under way. */
import type { ResponseObject, StreamEvent } from '../response.types.js';
import type { TurnEnd } from '../record/turn-end.js';
import type { Batch } from '../record/event-log.repository.js';

export type Append = (batch: Batch) => Promise<void>;

/** Events waiting at most; beyond that the run waits for the database. */
const MAX_WAITING = 500;

export class EventRecorder {
  private waiting: StreamEvent[] = [];
  private turn: TurnEnd | null = null;
  private end: ResponseObject | null = null;
  private writing: Promise<void> | null = null;
  private fault: Error | null = null;

  constructor(private readonly append: Append) {}

  /** Takes an event; throws what an earlier write failed with. `end` comes with the terminal event. */
  async add(event: StreamEvent, end: ResponseObject | null): Promise<void> {
    if (this.fault) throw this.fault;
    this.waiting.push(event);
    this.end = end ?? this.end;
    this.writing ??= this.write();
    if (this.waiting.length >= MAX_WAITING) await this.writing;
  }

  /** Takes the end of a turn of the model: it is written with or before whatever comes next. */
  mark(turn: TurnEnd): void {
    this.turn = turn;
    this.writing ??= this.write();
  }

  /** Resolves when everything is on disk. */
  async flush(): Promise<void> {
    while (this.writing) await this.writing;
    if (this.fault) throw this.fault;
  }

  private async write(): Promise<void> {
    try {
      while (this.waiting.length > 0 || this.turn) {
        const batch = { events: this.waiting, turn: this.turn, end: this.end };
        this.waiting = [];
        this.turn = null;
        await this.append(batch);
      }
    } catch (error) {
      this.fault = error instanceof Error ? error : new Error(String(error));
    } finally {
      this.writing = null;
    }
  }
}
