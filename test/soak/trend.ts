/** Whether something that is read again and again grows. */

/** Slope of a line through readings at equal distances: the median of all slopes between two (Theil and Sen). */
export function slope(readings: readonly number[]): number {
  const slopes = readings.flatMap((late, at) =>
    readings.slice(0, at).map((early, before) => (late - early) / (at - before)),
  );
  return slopes.length === 0 ? 0 : median(slopes);
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return 0;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/**
 * By how much the second half of the readings grows from its first to its last, along its trend. The first
 * half is for caches to fill. A single peak moves it as little as a single dip.
 */
export function growth(readings: readonly number[]): number {
  const settled = readings.slice(readings.length >> 1);
  return slope(settled) * Math.max(0, settled.length - 1);
}
