/** Memory of another process, from /proc. */
import { readFileSync, writeFileSync } from 'node:fs';

const KIB = 1024;

function field(pid: number, name: string): number {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(match?.[1] ?? Number.NaN) * KIB;
}

/** Bytes its resident memory grew above where it began, at most, while `work` went on. */
export async function peakGrowth(pid: number, work: () => Promise<unknown>): Promise<number> {
  // Sets the high-water mark to what is resident now.
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
  const before = field(pid, 'VmRSS');
  await work();
  return field(pid, 'VmHWM') - before;
}
