/** Values in and out of code: `inputs`, `returns` and `value` of an execution. An extension beside the Containers API. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Execution, Json } from '../support/api.js';
import { useProject } from '../support/project.js';

const project = useProject();
let container = '';
beforeAll(async () => {
  container = await project.api.newContainer();
});
afterAll(async () => project.api.delete(`/containers/${container}`));

interface Valued extends Execution {
  readonly value: { readonly from: string; readonly json: unknown } | null;
}
const run = (code: string, fields: Json = {}): Promise<Valued> =>
  project.api.run(container, code, fields) as Promise<Valued>;
const notices = (made: Valued): string[] =>
  made.outputs.flatMap((output) => (output.type === 'notice' ? [String(output['code'])] : []));

describe('values', () => {
  it('come back only where they are asked for, and are kept', async () => {
    expect((await run('result = 1\n2')).value).toBeNull();
    const made = await run('result = {"größe": [1, None, 2.5], "text": "a\\0\\ud800\\u2028"}\n7', {
      returns: 'automatic',
    });
    expect(made.value).toEqual({
      from: 'result',
      json: { größe: [1, null, 2.5], text: expect.stringMatching(/^a.+\u2028$/s) },
    });
    expect(await project.api.ok('GET', `/containers/${container}/executions/${made.id}`)).toEqual(made);
    expect((await run('result = 1\n2', { returns: 'expression' })).value).toEqual({
      from: 'expression',
      json: 2,
    });
    expect((await run('print(1)', { returns: 'automatic' })).value).toBeNull();
  });

  it('go in under their names, and as data frames', async () => {
    const made = await run('result = df.groupby("city", as_index=False)["sales"].sum()', {
      inputs: {
        rows: [
          { city: 'Köln', sales: 3 },
          { city: 'Rome', sales: 4 },
          { city: 'Köln', sales: 5 },
        ],
      },
      dataframes: { df: 'rows' },
      returns: 'result',
    });
    expect(made.value?.json).toEqual([
      { city: 'Köln', sales: 8 },
      { city: 'Rome', sales: 4 },
    ]);
  });

  it('go in as text where they are more than a body may hold', async () => {
    const many = Array.from({ length: 200_000 }, (_, index) => ({ index }));
    const made = await run('len(rows), rows[-1]["index"]', {
      inputs: JSON.stringify({ rows: many }),
      returns: 'expression',
    });
    expect(made.value?.json).toEqual([200_000, 199_999]);
  });

  it('go in from a file of the container', async () => {
    await run('open("/mnt/data/rows.json", "w").write("[1, 2]")');
    const made = await run('sum(rows)', {
      inputs_from: { rows: '/mnt/data/rows.json' },
      returns: 'expression',
    });
    expect(made.value?.json).toBe(3);
  });

  it('lose no digit, and say what became of them', async () => {
    const made = await run(
      'import decimal, pandas as pd\nresult = pd.DataFrame([[2**62, decimal.Decimal("12345678901234567890.12"), float("nan")]], columns=["a", "a", "b"])',
      { returns: 'result' },
    );
    expect(made.value?.json).toEqual([{ a: '4611686018427387904', a_2: '12345678901234567890.12', b: null }]);
    expect(notices(made)).toEqual(['value_converted']);
  });

  it('that cannot be JSON, or are too long, are left out with the reason', async () => {
    for (const [code, reason] of [
      ['result = []\nresult.append(result)', /contains itself/],
      ['result = (n for n in range(3))', /use list\(\)/],
      ['result = "x" * 9_000_000', /longer than 8,388,608 bytes/],
    ] as const) {
      const made = await run(code, { returns: 'result' });
      expect([made.value, notices(made)]).toEqual([null, ['value_dropped']]);
      expect(JSON.stringify(made.outputs)).toMatch(reason);
    }
  });

  it('leave nothing of theirs in the session but their names', async () => {
    const before = await run('sorted(n for n in globals() if not n.startswith("_"))', {
      returns: 'expression',
    });
    await run('1', { inputs: { brought: 1 }, returns: 'automatic' });
    const after = await run('sorted(n for n in globals() if not n.startswith("_"))', {
      returns: 'expression',
    });
    expect(after.value?.json).toEqual([...(before.value!.json as string[]), 'brought'].toSorted());
  });

  it('that are wrong are refused, or end the code before it runs', async () => {
    for (const [fields, param] of [
      [{ inputs: [1] }, 'inputs'],
      [{ inputs: { 'a b': 1 } }, 'inputs'],
      [{ inputs: { __builtins__: 1 } }, 'inputs'],
      [{ returns: 'all' }, 'returns'],
      [{ dataframes: { df: 3 } }, 'dataframes'],
    ] as const) {
      const reply = await project.api.post(`/containers/${container}/executions`, { code: '1', ...fields });
      expect([reply.status, String((reply.body as { error: { param: string } }).error.param)]).toEqual([
        400,
        expect.stringContaining(param) as string,
      ]);
    }
    const made = await run('ran = True', { inputs: '{"class": 1}' });
    expect(made.error).toMatchObject({
      name: 'BadInput',
      value: expect.stringContaining("'class'") as string,
    });
    expect((await run('"ran" in globals()', { returns: 'expression' })).value?.json).toBe(false);
  });
});

describe('figures', () => {
  it('say what they are called, and where they were saved', async () => {
    const made = await run(
      'import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.title("Sales\\n2026")\nplt.savefig("sales.png")\nplt.show()',
    );
    expect(made.outputs.filter(({ type }) => type === 'image')).toEqual([
      expect.objectContaining({ title: 'Sales 2026', saved_as: '/mnt/data/sales.png' }),
    ]);
  });

  it('that were saved are not shown a second time when the code ends', async () => {
    const made = await run('plt.plot([1, 2])\nplt.savefig("again.png")');
    expect(made.outputs).toEqual([]);
    expect(made.files.map(({ path }) => path)).toEqual(['/mnt/data/again.png']);
  });
});

describe('POST /containers/{id}/expire', () => {
  it('frees the sandbox at once and keeps the files', async () => {
    const id = await project.api.newContainer();
    const made = await project.api.run(id, 'open("/mnt/data/kept.txt", "w").write("kept")');
    for (let time = 0; time < 2; time += 1)
      expect(await project.api.ok('POST', `/containers/${id}/expire`)).toMatchObject({
        id,
        status: 'expired',
      });
    const content = `/files/${made.files[0]!.id}/content`;
    expect((await project.api.get(content)).text).toBe('kept');
    const reply = await project.api.post(`/containers/${id}/executions`, { code: '1' });
    expect([reply.status, JSON.stringify(reply.body)]).toEqual([
      404,
      expect.stringContaining('container_expired'),
    ]);
    expect((await project.api.post(`/containers/cntr_none/expire`, {})).status).toBe(404);
  });
});
