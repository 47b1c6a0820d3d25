import { describe, expect, it } from 'vitest';
import { programOf } from '../../../orchestrator/src/llm/python/program.js';

describe('programOf', () => {
  it.each([
    ['print(1)', 'print(1)'],
    ['Please:\n```python\nprint(1)\n```\nthanks', 'print(1)\n'],
    ['```py\na = 1\n```\nand\n~~~\nprint(a)\n~~~', 'a = 1\n\nprint(a)\n'],
    ['```json\n{}\n```\n```\nprint(2)\n```', 'print(2)\n'],
    ['  ```Python title="x"\n  print(1)\n  ```  ', '  print(1)\n'],
    ['````\nprint("""\n```\n""")\n````', 'print("""\n```\n""")\n'],
    ['```python\r\nprint(1)\r\n```\r\n', 'print(1)\r\n'],
    ['```python\nprint(1)', '```python\nprint(1)'],
    ['text = """\n```\n"""', 'text = """\n```\n"""'],
    ['```\n```', ''],
    ['```json\n{}\n```', '```json\n{}\n```'],
    ['\uFEFFprint(1)', 'print(1)'],
    ['\uFEFF```python\n\uFEFFprint(1)\n```', 'print(1)\n'],
    ['', ''],
  ])('takes from %j', async (text, program) => {
    expect(await programOf(text)).toBe(program);
  });
});
