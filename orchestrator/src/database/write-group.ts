/**
 * Writes that many requests ask for in the same moment, joined into one: a crowd costs the database and this
 * process a few statements, and whoever comes alone waits for nobody. Each is told of its own write, after it
 * was committed.
 */
import { isDatabaseOutage } from '../common/database-errors.js';

/** What one write takes at most; a larger member goes by itself, past the others. */
const MOST_MEMBERS = 50;
const MOST_BYTES = 256 * 1024;
/** Writes under way; who comes meanwhile gathers for the next. */
const MOST_AT_ONCE = 2;

/** Writes all of them or none; answers for each, in their order. */
export type WriteAll<T, R> = (members: readonly T[]) => Promise<readonly R[]>;

interface Waiting<T, R> {
  readonly member: T;
  readonly bytes: number;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

export class WriteGroup<T, R> {
  private waiting: Waiting<T, R>[] = [];
  private underWay = 0;
  private isDue = false;

  constructor(private readonly writeAll: WriteAll<T, R>) {}

  /** `bytes`: about how large it is. Rejects with what its own write failed with. */
  add(member: T, bytes: number): Promise<R> {
    if (bytes > MOST_BYTES) return this.alone(member);
    return new Promise((resolve, reject) => {
      this.waiting.push({ member, bytes, resolve, reject });
      this.schedule();
    });
  }

  /** Those that come in the same turn of the event loop go together. */
  private schedule(): void {
    if (this.isDue || this.underWay >= MOST_AT_ONCE) return;
    this.isDue = true;
    setImmediate(() => {
      this.isDue = false;
      while (this.waiting.length > 0 && this.underWay < MOST_AT_ONCE) void this.write(this.next());
    });
  }

  private next(): Waiting<T, R>[] {
    let bytes = 0;
    const end = this.waiting.findIndex((each, index) => {
      bytes += each.bytes;
      return index >= MOST_MEMBERS || (index > 0 && bytes > MOST_BYTES);
    });
    return this.waiting.splice(0, end < 0 ? this.waiting.length : end);
  }

  private async write(group: readonly Waiting<T, R>[]): Promise<void> {
    this.underWay += 1;
    try {
      const results = await this.writeAll(group.map(({ member }) => member));
      group.forEach(({ resolve }, index) => resolve(results[index]!));
    } catch (error) {
      await this.part(group, error);
    } finally {
      this.underWay -= 1;
      this.schedule();
    }
  }

  /** One of them may be at fault: then it fails alone. A database that is away is away for all. */
  private async part(group: readonly Waiting<T, R>[], error: unknown): Promise<void> {
    if (group.length === 1 || isDatabaseOutage(error)) {
      for (const { reject } of group) reject(error);
      return;
    }
    for (const { member, resolve, reject } of group) await this.alone(member).then(resolve, reject);
  }

  private async alone(member: T): Promise<R> {
    const [result] = await this.writeAll([member]);
    return result as R;
  }
}
