import { describe, expect, it } from 'vitest';
import { fitFileName, safeFileName } from '../../../orchestrator/src/common/file-name.js';

const bytes = (text: string): number => Buffer.byteLength(text, 'utf8');

describe('safeFileName', () => {
  it.each([
    ['données été.csv', 'données été.csv'],
    ['e\u0301te\u0301.csv', 'e\u0301te\u0301.csv'],
    ['表.xlsx', '表.xlsx'],
    ['.env', '.env'],
    ['a b (1).txt', 'a b (1).txt'],
    ['100%.txt', '100%.txt'],
    ['upload', 'upload'],
  ])('keeps %j', (name, expected) => expect(safeFileName(name)).toBe(expected));

  it.each([
    ['../../etc/passwd', 'passwd'],
    ['a/b.txt', 'b.txt'],
    ['C:\\Users\\me\\x.csv', 'x.csv'],
    ['..', 'file'],
    ['.', 'file'],
    ['...', 'file'],
    ['dir/', 'file'],
    ['a/..', 'file'],
    ['', 'file'],
    [undefined, 'file'],
    ['   ', 'file'],
    ['\u0000\u0007', 'file'],
    ['a\u0000b.txt', 'ab.txt'],
    ['x\r\ny: z.csv', 'xy: z.csv'],
    ['\u202egpj.exe', 'gpj.exe'],
    ['.\u0000.', 'file'],
    ['  report.pdf ', 'report.pdf'],
    ['bad\ud800.csv', 'bad\ufffd.csv'],
  ])('makes %j %j', (name, expected) => expect(safeFileName(name)).toBe(expected));

  it('cuts long names on a code point and keeps the extension', () => {
    const cut = safeFileName(`${'é'.repeat(300)}.csv`);
    expect(bytes(cut)).toBeLessThanOrEqual(255);
    expect(bytes(cut)).toBeGreaterThan(250);
    expect(cut).toMatch(/^é+\.csv$/);
    expect(safeFileName(`${'😀'.repeat(100)}.parquet`)).toMatch(/^😀+\.parquet$/u);
  });

  it('treats a very long ending as part of the name', () => {
    const cut = safeFileName(`a.${'b'.repeat(400)}`);
    expect(cut).toBe(`a.${'b'.repeat(253)}`);
  });
});

describe('fitFileName', () => {
  it('leaves room for a prefix', () => {
    const prefix = 'file-1234567890123456789012-';
    const name = fitFileName(`${'x'.repeat(251)}.csv`, 255 - bytes(prefix));
    expect(bytes(prefix + name)).toBe(255);
    expect(name.endsWith('.csv')).toBe(true);
  });
});
