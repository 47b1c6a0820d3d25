/** What the `python` model says of files: each name is a link to that file, whatever it holds. */
import { describe, expect, it } from 'vitest';
import type { LlmRequest } from '../../../orchestrator/src/llm/llm.js';
import { PythonLlm } from '../../../orchestrator/src/llm/python/python.llm.js';
import { cite } from '../../../orchestrator/src/responses/run/citations.js';

const NAMES = [
  'plain.csv',
  'a)b.txt',
  'a(b).txt',
  'a]b[c.txt',
  '](http:evil.example) [y.txt',
  'two\nlines.txt',
  '- [x](http:evil.example)\n- y',
  'carriage\rreturn',
  'escape\u001b[31m.txt',
  'turned\u202etxt.exe',
  'mark\u200fs.txt',
  'separated\u2028.txt',
  'back`tick` <b> \\ slash',
  'percent%20.txt',
  'q?a=1#fragment!.txt',
  '"quoted" \'name\'',
  'ü 📈.png',
];

async function reply(paths: readonly string[]): Promise<string> {
  const request = {
    messages: [
      { role: 'tool', callId: 'call_1', parts: [], files: paths.map((path) => ({ path, bytes: 1 })) },
    ],
    tools: [],
    toolChoice: { type: 'auto' },
  } as unknown as LlmRequest;
  let text = '';
  for await (const event of new PythonLlm().stream(request)) if (event.type === 'text') text += event.delta;
  return text;
}

/** The targets of links as Markdown sees them: a label without bare brackets, then a target without spaces. */
const targets = (text: string): string[] =>
  [...text.matchAll(/\[((?:\\[^\n]|[^\\[\]\n])*)\]\(([^()\s]*)\)/g)].map((match) => match[2]!);

describe('links of the python model', () => {
  it.each(NAMES)('%j is one link, on one line, and cited where it stands', async (name) => {
    const path = `/mnt/data/${name}`;
    const text = await reply([path, '/mnt/data/next.txt']);
    expect(text.split('\n')).toHaveLength(3);
    expect(text).not.toMatch(/[\p{Zl}\p{Zp}\p{Bidi_Control}\u001b]/u);
    expect(targets(text)).toHaveLength(2);
    expect(targets(text).every((each) => each.startsWith('sandbox:/mnt/data/'))).toBe(true);
    const files = [path, '/mnt/data/next.txt'].map((each, index) => ({
      id: `cfile_${index}`,
      containerId: 'cntr_1',
      path: each,
    }));
    const citations = cite(text, files, files);
    expect(citations.map((each) => each.file_id)).toEqual(['cfile_0', 'cfile_1']);
    expect(
      citations.map(({ start_index, end_index }) => [...text].slice(start_index, end_index).join('')),
    ).toEqual(targets(text));
  });

  it.each(NAMES)('%j is cited when a model writes it as it is', (name) => {
    const file = { id: 'cfile_1', containerId: 'cntr_1', path: `/mnt/data/${name}` };
    const text = `see [it](sandbox:/mnt/data/${name}) there`;
    expect(cite(text, [file], [file])).toMatchObject([
      { start_index: 9, end_index: 9 + [...`sandbox:/mnt/data/${name}`].length },
    ]);
  });
});
