/** Where the time of a round goes. */
export class Watch {
  private last = performance.now();
  private readonly laps = new Map<string, number>();

  /** Adds the time since the last lap to what has this name. */
  lap(name: string): void {
    const now = performance.now();
    this.laps.set(name, (this.laps.get(name) ?? 0) + now - this.last);
    this.last = now;
  }

  /** Seconds of each, in the order in which they came first. */
  told(): string {
    const parts = [...this.laps].map(([name, ms]) => `${name} ${(ms / 1_000).toFixed(1)}`);
    return `${parts.join(', ')} s`;
  }
}
