/**
 * Text that strangers send, a megabyte of the worst. What is linear takes milliseconds here, and what is
 * quadratic takes many minutes: the bound lies far from both.
 */
import { describe, expect, it } from 'vitest';
import { attachment } from '../../../orchestrator/src/common/content-disposition.js';
import { safeFileName } from '../../../orchestrator/src/common/file-name.js';
import { fieldPath } from '../../../orchestrator/src/common/multipart-fields.js';
import { truncate, visible } from '../../../orchestrator/src/common/text.js';
import { SseParser } from '../../../orchestrator/src/llm/chat-completions/sse-reader.js';
import { programOf } from '../../../orchestrator/src/llm/python/program.js';
import { countText } from '../../../orchestrator/src/llm/token-counter.js';
import { decodeInline } from '../../../orchestrator/src/responses/context/input-files.js';
import { CodeArguments } from '../../../orchestrator/src/responses/run/code-arguments.js';
import type { CitableFile } from '../../../orchestrator/src/responses/container/response-container.js';
import { cite } from '../../../orchestrator/src/responses/run/citations.js';

const MEGABYTE = 1024 * 1024;
const BOUND_MS = 30_000;

const fill = (unit: string): string => unit.repeat(Math.ceil(MEGABYTE / unit.length));

const LINK = 'sandbox:/mnt/data/';
const UNITS = [
  '~~~x\n',
  '```\n',
  '```x\n~~~\n',
  '`',
  '~~~ ',
  ' ',
  '\t\n',
  '\n',
  '(',
  ')',
  '(]',
  '[',
  `(${LINK}a `,
  `(${LINK}a`,
  `<${LINK}a `,
  `[a](${LINK}a "`,
  `${LINK}a)b `,
  LINK,
  '....',
  'a=',
  '=',
  ';',
  'data:;',
  '{ ',
  '{"code":"\\\\',
  '\\u00',
  '\r',
  ':',
  '\\',
  '"',
  '📈',
  '\ud83d',
  'x',
];

const files: readonly CitableFile[] = [
  'a)b',
  'a "b',
  `(${LINK}a (${LINK}a ${'('.repeat(100)}`,
  ...Array.from({ length: 600 }, (_, index) => `a)${'x'.repeat(200)}${index}`),
].map((name, index) => ({ id: `cfile_${index}`, containerId: 'cntr_1', path: `/mnt/data/${name}` }));

const inPieces = (text: string, size: number): string[] =>
  Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
    text.slice(index * size, (index + 1) * size),
  );

function readCode(text: string): string {
  const reader = new CodeArguments();
  for (const piece of inPieces(text, 64)) reader.push(piece);
  return reader.finish().code;
}

function readEvents(text: string): number {
  const parser = new SseParser();
  return inPieces(`data: ${text}`, 64).flatMap((piece) => parser.push(piece)).length + parser.end().length;
}

function tryDecode(text: string): boolean {
  try {
    decodeInline(text, 'input');
    return true;
  } catch {
    return false;
  }
}

const READERS: Readonly<Record<string, (text: string) => unknown>> = {
  programOf,
  cite: (text) => cite(text, files, files),
  CodeArguments: readCode,
  SseParser: readEvents,
  decodeInline: tryDecode,
  safeFileName,
  fieldPath,
  attachment,
  truncate: (text) => truncate(text, MEGABYTE - 1),
  visible,
  countText,
};

describe.each(Object.entries(READERS))('%s reads a megabyte of anything in linear time', (_, read) => {
  it.each(UNITS)('%j', { timeout: BOUND_MS }, async (unit) => {
    expect(await read(fill(unit))).toBeDefined();
  });
});

describe('citations of many files', () => {
  it('finds 600 long names in a text that is full of links', { timeout: BOUND_MS }, () => {
    const names = Array.from({ length: 600 }, (_, index) => `${'ü'.repeat(120)}${index}.csv`);
    const many = names.map((name, index) => ({
      id: `cfile_${index}`,
      containerId: 'cntr_1',
      path: `/mnt/data/${name}`,
    }));
    const text = names.map((name) => `- [x](${LINK}${encodeURI(name)})`).join('\n');
    const citations = cite(text, many, many);
    expect(citations).toHaveLength(600);
    expect(citations.every(({ end_index }) => end_index > 0)).toBe(true);
  });
});
