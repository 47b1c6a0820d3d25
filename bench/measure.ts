/** Times and their summary. */
import { performance } from 'node:perf_hooks';

export interface Row {
  readonly name: string;
  readonly unit: 'ms' | 'MB/s' | 'MB';
  readonly n: number;
  readonly median: number;
  readonly p95: number;
  readonly p99: number;
  readonly min: number;
  /** What is asked of it, if anything. */
  readonly aim?: number;
  readonly note?: string;
}

const ROUNDED = 1_000;
const round = (value: number): number => Math.round(value * ROUNDED) / ROUNDED;

/** The value below which this share of the sorted values lies. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  if (sorted.length % 2 === 1) return sorted[Math.floor(middle)]!;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
}

export function summarise(
  name: string,
  values: readonly number[],
  more: { unit?: Row['unit']; aim?: number; note?: string } = {},
): Row {
  const { unit = 'ms', ...rest } = more;
  const sorted = [...values].sort((a, b) => a - b);
  return {
    name,
    unit,
    n: sorted.length,
    median: round(median(values)),
    p95: round(quantile(sorted, 0.95)),
    p99: round(quantile(sorted, 0.99)),
    min: round(sorted[0] ?? Number.NaN),
    ...rest,
  };
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

/** Milliseconds of each round, one after the other; `before` is not counted. */
export async function rounds(
  count: number,
  work: () => Promise<unknown>,
  before: () => Promise<unknown> = async () => undefined,
): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    await before();
    times.push(await timed(work));
  }
  return times;
}
