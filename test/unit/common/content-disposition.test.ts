import { describe, expect, it } from 'vitest';
import { attachment } from '../../../orchestrator/src/common/content-disposition.js';
import { mimeTypeOf } from '../../../orchestrator/src/common/mime.js';

describe('attachment', () => {
  it.each([
    ['data.csv', `attachment; filename="data.csv"; filename*=UTF-8''data.csv`],
    [
      'données été.csv',
      `attachment; filename="donn_es _t_.csv"; filename*=UTF-8''donn%C3%A9es%20%C3%A9t%C3%A9.csv`,
    ],
    ['a"b\\c%41.txt', `attachment; filename="a_b_c_41.txt"; filename*=UTF-8''a%22b%5Cc%2541.txt`],
    ["it's (1)*.txt", `attachment; filename="it's (1)*.txt"; filename*=UTF-8''it%27s%20%281%29%2A.txt`],
    ['表.xlsx', `attachment; filename="_.xlsx"; filename*=UTF-8''%E8%A1%A8.xlsx`],
  ])('names %j', (name, header) => expect(attachment(name)).toBe(header));

  it('lets nothing break out of the header', () => {
    expect(attachment('a\r\nx: y\ud800')).toMatch(/^[\x20-\x7e]+$/);
  });
});

describe('mimeTypeOf', () => {
  it.each([
    ['a.csv', 'text/csv'],
    ['A.PNG', 'image/png'],
    ['x.tar.gz', 'application/gzip'],
    ['noextension', 'application/octet-stream'],
    ['a.', 'application/octet-stream'],
    ['a.constructor', 'application/octet-stream'],
    ['a.unknown', 'application/octet-stream'],
    ['a.parquet', 'application/vnd.apache.parquet'],
    ['a.ts', 'application/typescript'],
    ['a.webm', 'video/webm'],
    ['a.ICS', 'text/calendar'],
    ['csv', 'application/octet-stream'],
  ])('%s is %s', (name, type) => expect(mimeTypeOf(name)).toBe(type));
});
