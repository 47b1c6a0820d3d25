import { describe, expect, it } from 'vitest';
import { CodeArguments } from '../../../orchestrator/src/responses/run/code-arguments.js';

/** Feeds the text cut after every `size` characters; returns what came out piece by piece and the end. */
function feed(text: string, size: number) {
  const reader = new CodeArguments();
  let streamed = '';
  for (let start = 0; start < text.length; start += size)
    streamed += reader.push(text.slice(start, start + size));
  const { code, rest } = reader.finish();
  return { streamed: streamed + rest, code };
}

const PROGRAMS = [
  'print(1)',
  'x = "a\\nb"\nprint(x)\t# tab',
  'print("ü 📈 \u2028")',
  'a = "\\\\"\nb = \'"\'',
  '',
  '\u0000\u001f',
];

describe('CodeArguments', () => {
  for (const code of PROGRAMS) {
    const json = JSON.stringify({ code });
    it.each([1, 2, 3, 5, 7, 1000])(
      `gives out ${JSON.stringify(code)} whole, cut after %i characters`,
      (size) => {
        expect(feed(json, size)).toEqual({ streamed: code, code });
      },
    );
  }

  it('never gives out half of a surrogate pair', () => {
    const reader = new CodeArguments();
    const pieces = [...'{"code":"\\ud83d\\udcc8"}']
      .map((char) => reader.push(char))
      .filter((piece) => piece !== '');
    expect(pieces).toEqual(['📈']);
  });

  it('takes bare code from models that send no JSON', () => {
    expect(feed('print(1)\nprint(2)', 4).code).toBe('print(1)\nprint(2)');
  });

  it('takes what came before the arguments were cut off', () => {
    expect(feed('{"code":"print(1)\\nprin', 5).code).toBe('print(1)\nprin');
  });

  it('finds the code when it is not the first key', () => {
    expect(feed('{"language":"python","code":"print(1)"}', 6)).toEqual({
      streamed: 'print(1)',
      code: 'print(1)',
    });
  });
});
