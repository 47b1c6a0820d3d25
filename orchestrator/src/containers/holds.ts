import { Injectable } from '@nestjs/common';

/**
 * Containers that somebody works with between two executions, such as a response whose model is thinking.
 * They do not give way when the memory pool of their project is full.
 */
@Injectable()
export class ContainerHolds {
  private readonly counts = new Map<string, number>();

  /** Call the returned function exactly once, when the work is over. */
  hold(containerId: string): () => void {
    this.counts.set(containerId, (this.counts.get(containerId) ?? 0) + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const left = (this.counts.get(containerId) ?? 1) - 1;
      if (left === 0) this.counts.delete(containerId);
      else this.counts.set(containerId, left);
    };
  }

  ids(): readonly string[] {
    return [...this.counts.keys()];
  }
}
