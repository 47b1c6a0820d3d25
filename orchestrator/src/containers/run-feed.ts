/**
 * What one execution has to tell, kept until its reader takes it. The execution never waits for the
 * reader. Pieces of the same stream that wait are joined, so a reader who sleeps costs at most the output
 * that an execution may have; one who left costs nothing.
 */
import type { RunEvent } from './execution-run.js';

function joined(last: RunEvent | undefined, next: RunEvent): RunEvent | null {
  if (last?.type !== 'output' || next.type !== 'output') return null;
  const [before, after] = [last.output, next.output];
  if (before.type !== 'stdout' && before.type !== 'stderr') return null;
  if (after.type !== before.type) return null;
  return { type: 'output', output: { type: before.type, text: before.text + after.text } };
}

export class RunFeed {
  private waiting: RunEvent[] = [];
  private isOver = false;
  private isAbandoned = false;
  private wake: () => void = () => {};

  push(event: RunEvent): void {
    if (this.isAbandoned) return;
    const both = joined(this.waiting.at(-1), event);
    if (both) this.waiting[this.waiting.length - 1] = both;
    else this.waiting.push(event);
    this.wake();
  }

  /** Nothing comes after this. */
  end(): void {
    this.isOver = true;
    this.wake();
  }

  /** To be read once; a reader who stops early abandons the rest. */
  async *read(): AsyncGenerator<RunEvent> {
    try {
      for (;;) {
        const next = this.waiting.shift();
        if (next) yield next;
        else if (this.isOver) return;
        else await new Promise<void>((resolve) => (this.wake = resolve));
      }
    } finally {
      this.isAbandoned = true;
      this.waiting = [];
    }
  }
}
