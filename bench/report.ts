/** Numbers for people, and the file that keeps them. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Row } from './measure.js';

const RESULTS = join(import.meta.dirname, 'results');

const show = (value: number, unit: Row['unit']): string =>
  unit === 'ms' && value < 100 ? value.toFixed(2) : value.toFixed(0);

export function line(row: Row): string {
  const aim =
    row.aim === undefined
      ? ''
      : row.median <= row.aim
        ? ` aim ≤ ${row.aim}: met`
        : ` aim ≤ ${row.aim}: MISSED`;
  const cells = [
    row.name.padEnd(54),
    show(row.median, row.unit).padStart(9),
    show(row.p95, row.unit).padStart(9),
    String(row.n).padStart(5),
    ` ${row.unit}`.padEnd(5),
  ];
  return `${cells.join(' ')}${aim}`.trimEnd();
}

export const heading = `${''.padEnd(54)} ${'median'.padStart(9)} ${'p95'.padStart(9)} ${'n'.padStart(5)}`;

/** Puts a report into the folder of results, whole or not at all. */
export function write(name: string, report: object): void {
  mkdirSync(RESULTS, { recursive: true });
  const path = join(RESULTS, name);
  writeFileSync(`${path}.tmp`, `${JSON.stringify(report, null, 2)}\n`);
  renameSync(`${path}.tmp`, path);
}

/** A report that `write` has written. */
export const readReport = (name: string): unknown => JSON.parse(readFileSync(join(RESULTS, name), 'utf8'));
