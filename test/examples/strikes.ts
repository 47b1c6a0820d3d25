/** What the chart and the workbook of the example must hold, counted from the CSV without pandas. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Api } from '../support/api.js';
import { ROOT } from './documents.js';

export interface Month {
  readonly strikes: number;
  readonly damaging: number;
  readonly cost: number;
}

/** By month, January first. Rows that are equal count once. */
export function expectedMonths(): Month[] {
  const lines = readFileSync(join(ROOT, 'examples/data/birdstrikes.csv'), 'utf8').trim().split('\n').slice(1);
  const months = Array.from({ length: 12 }, () => ({ strikes: 0, damaging: 0, cost: 0 }));
  for (const line of new Set(lines.map((each) => each.trimEnd()))) {
    const date = /,(None|Minor|Medium|Substantial|B|C),\d{4}-(\d\d)-\d\d,/.exec(line);
    const month = months[Number(date?.[2]) - 1];
    if (!date || !month) throw new Error(`not a row of the data: ${line}`);
    month.strikes += 1;
    month.damaging += /^(Minor|Medium|Substantial)$/.test(date[1]!) ? 1 : 0;
    month.cost += Number(line.split(',').at(-2));
  }
  return months;
}

export function expectChart(png: Buffer): void {
  expect(png.subarray(0, 8).toString('latin1')).toBe('\u0089PNG\r\n\u001a\n');
  expect(png.subarray(12, 16).toString('latin1')).toBe('IHDR');
  expect(png.readUInt32BE(16)).toBeGreaterThan(1400);
  expect(png.readUInt32BE(20)).toBeGreaterThan(800);
  expect(png.subarray(-8, -4).toString('latin1')).toBe('IEND');
  expect(png.length).toBeGreaterThan(50_000);
}

interface Sheets {
  readonly names: string[];
  readonly months: [string, number, number, number, number, number][];
  readonly airports: number;
}

/** Opens the workbook with another library than the one that wrote it, in a sandbox of ours. */
async function openWorkbook(api: Api, xlsx: Buffer): Promise<Sheets> {
  const fileId = await api.upload('made.xlsx', xlsx);
  const container = await api.newContainer({ file_ids: [fileId] });
  const code = [
    'import json, openpyxl',
    "book = openpyxl.load_workbook('/mnt/data/made.xlsx')",
    "months = [[cell.value for cell in row] for row in book['By month'].iter_rows(min_row=2)]",
    "print(json.dumps({'names': book.sheetnames, 'months': months, 'airports': book['By airport'].max_row - 1}))",
  ].join('\n');
  const sheets = JSON.parse(await api.printed(container, code)) as Sheets;
  await api.delete(`/containers/${container}`);
  return sheets;
}

export async function expectWorkbook(api: Api, xlsx: Buffer): Promise<void> {
  const { names, months, airports } = await openWorkbook(api, xlsx);
  expect(names).toEqual(['By month', 'By airport']);
  expect(airports).toBe(50);
  expect(months[0]?.[0]).toBe('Jan');
  expect(months.map(([, strikes, damaging, , cost]) => ({ strikes, damaging, cost }))).toEqual(
    expectedMonths(),
  );
}
