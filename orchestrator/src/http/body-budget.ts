/**
 * How many bytes of JSON bodies are read at the same time. Who asks for more than is left waits in order,
 * without being read, and no key may have more than half, so that the other half is always for others.
 */
import { ApiError } from '../common/api-error.js';

/** Milliseconds somebody waits for room before the answer is 503. */
const WAIT_MS = 60_000;
/** Seconds a refused client is asked to wait. */
const RETRY_AFTER_SECONDS = 5;

export type Release = () => void;

interface Waiter {
  readonly key: string;
  readonly bytes: number;
  readonly start: () => void;
}

export class BodyBudget {
  private taken = 0;
  private readonly byKey = new Map<string, number>();
  private readonly waiters = new Set<Waiter>();

  /** `totalBytes` is for all, and at least twice the largest body. */
  constructor(
    private readonly totalBytes: number,
    private readonly waitMs = WAIT_MS,
  ) {}

  /** Bytes that are being read now. */
  get bytes(): number {
    return this.taken;
  }

  /** Takes room for a body; rejects with 503 `overloaded` after a while, and when `gone` says that nobody sends any more. */
  take(key: string, bytes: number, gone: AbortSignal): Promise<Release> {
    if (this.fits(key, bytes)) return Promise.resolve(this.hold(key, bytes));
    return new Promise((resolve, reject) => {
      const leave = (error: ApiError) => {
        end();
        reject(error);
      };
      const end = () => {
        this.waiters.delete(waiter);
        clearTimeout(timer);
        gone.removeEventListener('abort', onGone);
      };
      const waiter: Waiter = {
        key,
        bytes,
        start: () => {
          end();
          resolve(this.hold(key, bytes));
        },
      };
      const onGone = () => leave(new ApiError('invalid_request', 'The request ended before its body.'));
      const timer = setTimeout(() => leave(overloaded()), this.waitMs);
      gone.addEventListener('abort', onGone);
      this.waiters.add(waiter);
    });
  }

  private fits(key: string, bytes: number): boolean {
    const own = this.byKey.get(key) ?? 0;
    return this.taken + bytes <= this.totalBytes && own + bytes <= this.totalBytes / 2;
  }

  private hold(key: string, bytes: number): Release {
    this.taken += bytes;
    this.byKey.set(key, (this.byKey.get(key) ?? 0) + bytes);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.taken -= bytes;
      const left = this.byKey.get(key)! - bytes;
      if (left > 0) this.byKey.set(key, left);
      else this.byKey.delete(key);
      this.next();
    };
  }

  /** In order; who waits for room of its own key is passed over. */
  private next(): void {
    for (const waiter of this.waiters) {
      if (this.taken + waiter.bytes > this.totalBytes) return;
      if (this.fits(waiter.key, waiter.bytes)) waiter.start();
    }
  }
}

const overloaded = (): ApiError =>
  new ApiError(
    'overloaded',
    'The server is reading as many large requests as it can hold. Please try again in a moment.',
    { headers: { 'retry-after': String(RETRY_AFTER_SECONDS) } },
  );
