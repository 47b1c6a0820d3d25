/** Containers: Run Python, in a real n8n. */
import { describe, expect, it } from 'vitest';
import type { Page } from '../support/api.js';
import { CONTINUE, textFile, useBench } from './support/nodes.js';
import { inlineFile, node, type Node } from './support/workflow.js';

const { n8n, api, containers, run } = useBench();
const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);

/** One container for most of these tests, so that they need not wait for one each. */
const SHARED = { container: 'session', session: 'custom', sessionKey: 'run-code' };
const OF_EXECUTION = { session: 'execution' };

const runCode = (code: string, parameters = {}, settings = {}, name = 'Run'): Node =>
  containers(name, { resource: 'code', operation: 'runCode', code, ...SHARED, ...parameters }, settings);

describe('items', () => {
  it('go in as a DataFrame, and rows come out as items with their origin', async () => {
    const result = await run(
      [{ json: { city: 'Köln', sales: 2 } }, { json: { city: 'Rome', sales: 5 } }],
      runCode("df['double'] = df['sales'] * 2\nresult = df"),
    );
    expect(result.items('Run')).toMatchObject([
      { json: { city: 'Köln', sales: 2, double: 4 }, pairedItem: { item: 0 } },
      { json: { city: 'Rome', sales: 5, double: 10 }, pairedItem: { item: 1 } },
    ]);
  });

  it('may be more than one request holds', async () => {
    const items = Array.from({ length: 3000 }, (_, n) => ({ json: { n, text: 'x'.repeat(100) } }));
    const result = await run(items, runCode('result = {"sum": int(df["n"].sum()), "count": len(items)}'));
    expect(result.items('Run')).toMatchObject([{ json: { sum: 4_498_500, count: 3000 } }]);
    const large = await run(
      [{ json: {} }],
      runCode('result = {"text": "x" * 7_000_000}', {}, {}, 'Make'),
      node(
        'Thrice',
        'n8n-nodes-base.set',
        {
          mode: 'raw',
          jsonOutput: '={{ { text: $json.text + $json.text + $json.text } }}',
          options: {},
        },
        { typeVersion: 3.4 },
      ),
      runCode(
        'result = {"length": len(items[0]["text"]), "left": sorted(__import__("os").listdir())}',
        OF_EXECUTION,
      ),
    );
    expect(large.json('Run')).toEqual({ length: 21_000_000, left: [expect.stringMatching(/^items-/)] });
    expect(large.items('Run')[0]?.binary).toBeUndefined();
  });

  it('lose no figure on their way, and the panel says what was written differently', async () => {
    const result = await run(
      [{ json: { id: '9007199254740993' } }],
      runCode('import pandas as pd\nresult = pd.DataFrame([[2**62, 1.5, 2.5]], columns=["id", "a", "a"])'),
    );
    expect(result.json('Run')).toEqual({ id: '4611686018427387904', a: 1.5, a_2: 2.5 });
  });

  it('set only the names that the code uses: variables of the session stay', async () => {
    const result = await run(
      [{ json: { n: 1 } }],
      runCode('df = "mine"\nresult = 1', {}, {}, 'First'),
      runCode('result = {"seen": globals()["d" + "f"]}'),
    );
    expect(result.json('Run')).toEqual({ seen: 'mine' });
  });

  it('come one by one in the mode for each item', async () => {
    const result = await run(
      [{ json: { n: 1 } }, { json: { n: 2 } }],
      runCode('result = {"square": item["n"] ** 2, "seen": len(items)}', { mode: 'each' }),
    );
    expect(result.items('Run')).toMatchObject([
      { json: { square: 1, seen: 1 }, pairedItem: { item: 0 } },
      { json: { square: 4, seen: 1 }, pairedItem: { item: 1 } },
    ]);
  });

  it.each([
    ['automatic', 'print("said")\n{"value": 1}', { value: 1 }],
    ['result', 'result = {"value": 2}\n{"value": 1}', { value: 2 }],
    ['expression', 'result = {"value": 2}\n{"value": 1}', { value: 1 }],
    ['printed', 'print("said")', { stdout: 'said\n', status: 'completed' }],
    ['details', 'print("said")\n40 + 2', { stdout: 'said\n', result: '42', error: null, files: [] }],
  ])('are made of what “Return: %s” says', async (returns, code, expected) => {
    const result = await run([{ json: {} }], runCode(code, { returns }));
    expect(result.json('Run')).toMatchObject(expected);
  });
});

describe('files', () => {
  it('that are charts come out as pictures that the panel shows', async () => {
    const result = await run(
      [{ json: {} }],
      runCode('import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()\nresult = {"n": 3}'),
    );
    const [item] = result.items('Run');
    expect(item?.json).toEqual({ n: 3, attachments: 'data' });
    expect(item?.binary?.['data']).toMatchObject({ mimeType: 'image/png', fileName: 'figure-1.png' });
    const reply = await n8n.binary(item!, 'data', 'view');
    expect([reply.status, reply.headers.get('content-type')]).toEqual([200, 'image/png']);
    expect(Buffer.from(await reply.arrayBuffer()).subarray(0, 4)).toEqual(PNG);
  });

  it('go in from n8n’s store and from the item', async () => {
    const code =
      'import pandas\nresult = {f["name"]: int(pandas.read_csv(f["path"]).sum().sum()) for f in files}';
    const stored = await run(
      [{ json: { text: 'a,b\n1,2\n3,4\n' } }],
      textFile('stored.csv'),
      runCode(code, { inputFiles: 'data' }),
    );
    expect(stored.items('File')[0]?.binary?.['data']?.id).toMatch(/^filesystem/);
    expect(stored.json('Run')).toEqual({ 'stored.csv': 10 });
    const inline = inlineFile('inline.csv', 'text/csv', 'a\n7\n');
    const held = await run([{ json: {}, binary: { one: inline } }], runCode(code, { inputFiles: '*' }));
    expect(held.json('Run')).toEqual({ 'inline.csv': 7 });
  });

  const MANY = 'for name in ("a.txt", "b.csv", "c.txt"):\n    open(name, "w").write(name)\nresult = {"n": 1}';

  it('come out under one name each, and only those whose name fits', async () => {
    const all = await run(
      [{ json: {} }],
      runCode(MANY, { ...OF_EXECUTION, options: { outputField: 'file' } }),
    );
    const [item] = all.items('Run');
    expect(Object.keys(item?.binary ?? {})).toEqual(['file', 'file_1', 'file_2']);
    expect((await all.file(item!, 'file_1')).toString()).toBe('b.csv');
    const some = await run(
      [{ json: {} }],
      runCode(MANY, { ...OF_EXECUTION, downloadFiles: 'pattern', filePattern: '*.csv' }),
    );
    expect(Object.values(some.items('Run')[0]?.binary ?? {})).toMatchObject([
      { fileName: 'b.csv', mimeType: 'text/csv' },
    ]);
    const none = await run(
      [{ json: {} }],
      runCode(MANY, { ...OF_EXECUTION, downloadFiles: 'none', returns: 'details' }),
    );
    expect(none.items('Run')[0]?.binary).toBeUndefined();
    expect(none.json('Run')['files']).toMatchObject([
      { filename: 'a.txt' },
      { filename: 'b.csv' },
      { filename: 'c.txt' },
    ]);
  });

  it('come out on an item each', async () => {
    const result = await run(
      [{ json: {} }],
      runCode(MANY, { ...OF_EXECUTION, options: { splitFiles: true } }),
    );
    const items = result.items('Run');
    expect(items.map(({ json }) => (json['file'] as { filename: string }).filename)).toEqual([
      'a.txt',
      'b.csv',
      'c.txt',
    ]);
    expect(
      await Promise.all(items.map(async (each) => (await result.file(each, 'data')).toString())),
    ).toEqual(['a.txt', 'b.csv', 'c.txt']);
  });
});

describe('a new container', () => {
  const ours = async (): Promise<number> =>
    (await api.ok<Page<{ status: string }>>('GET', '/containers?limit=100')).data.filter(
      ({ status }) => status === 'running',
    ).length;

  it('is gone when its step is over, for each item and when the code fails', async () => {
    const before = await ours();
    const result = await run(
      [{ json: { n: 1 } }, { json: { n: 2 } }, { json: { n: 0 } }],
      runCode(
        'open("a.txt", "w").write("x")\nresult = {"part": 1 / item["n"]}',
        { container: 'new', mode: 'each' },
        CONTINUE,
      ),
    );
    expect(result.items('Run').map(({ json }) => json['part'] ?? json['error'])).toEqual([
      1,
      0.5,
      'ZeroDivisionError: division by zero [item 2]',
    ]);
    expect(await ours()).toBe(before);
  });
});

describe('steps of one execution', () => {
  it('share variables and files, and leave no container behind', async () => {
    const result = await run(
      [{ json: {} }],
      runCode(
        'table = df\nopen("kept.txt", "w").write("here")',
        { ...OF_EXECUTION, returns: 'details' },
        {},
        'First',
      ),
      runCode('result = {"rows": len(table), "kept": open("kept.txt").read()}', OF_EXECUTION, {}, 'Second'),
    );
    expect(result.json('Second')).toMatchObject({ rows: 1, kept: 'here' });
    expect(result.items('Second')[0]?.binary).toBeUndefined();
    const id = result.json('First')['container_id'] as string;
    expect(id).toMatch(/^cntr_/);
    expect((await n8n.execution(result.id)).status).toBe('success');
    if (n8n.tellsEnds) await api.refused(404, 'GET', `/containers/${id}`);
    // Older ones do not tell nodes that an execution has ended.
    else await api.delete(`/containers/${id}`);
  });
});

describe('code that fails', () => {
  const FAULTY = 'print("before")\n1 / 0';

  it('is told as data where that is asked for', async () => {
    const result = await run([{ json: {} }], runCode(FAULTY, { options: { onCodeError: 'continue' } }));
    expect(result.status).toBe('success');
    expect(result.json('Run')).toMatchObject({
      status: 'code_error',
      stdout: 'before\n',
      error: { name: 'ZeroDivisionError', message: 'division by zero' },
    });
    expect((result.json('Run')['error'] as { traceback: string }).traceback).toMatch(/1 \/ 0/);
  });

  it('stops the workflow', async () => {
    const result = await run([{ json: {} }], runCode(FAULTY));
    expect(result.status).toBe('error');
    expect(result.error).toMatchObject({
      message: 'ZeroDivisionError: division by zero',
      node: { name: 'Run' },
      context: { itemIndex: 0 },
    });
    expect(result.error?.description).toMatch(/1 \/ 0/);
  });

  it('takes the error output of the node, item by item', async () => {
    const result = await run(
      [{ json: { n: 0 } }, { json: { n: 2 } }],
      runCode('result = {"part": 1 / item["n"]}', { mode: 'each' }, { onError: 'continueErrorOutput' }),
    );
    expect(result.status).toBe('success');
    expect(result.items('Run')).toMatchObject([{ json: { part: 0.5 }, pairedItem: { item: 1 } }]);
    expect(result.items('Run', 1)).toMatchObject([
      { json: { error: 'ZeroDivisionError: division by zero [item 0]' }, pairedItem: { item: 0 } },
    ]);
  });

  it('runs once for all items also with the error output, which gets one item that stems from all', async () => {
    const counted = 'runs = globals().get("runs", 0) + 1\nif len(items) > 1: raise ValueError(f"run {runs}")';
    const result = await run(
      [{ json: { n: 0 } }, { json: { n: 1 } }, { json: { n: 2 } }],
      runCode(counted, OF_EXECUTION, { onError: 'continueErrorOutput' }),
    );
    expect(result.items('Run')).toEqual([]);
    expect(result.items('Run', 1)).toMatchObject([
      { json: { error: 'ValueError: run 1' }, pairedItem: [{ item: 0 }, { item: 1 }, { item: 2 }] },
    ]);
  });

  it('is tried again where n8n is told to', async () => {
    const second =
      'tries = globals().get("tries", 0) + 1\nif tries < 2: raise OSError("busy")\nresult = {"tries": tries}';
    const retry = { retryOnFail: true, maxTries: 3, waitBetweenTries: 100 };
    const result = await run([{ json: {} }], runCode(second, { ...SHARED, sessionKey: 'retry' }, retry));
    expect(result.json('Run')).toEqual({ tries: 2 });
  });

  it('is cut off by its time limit', async () => {
    const told = await run(
      [{ json: {} }],
      runCode('import time\nprint("begun")\ntime.sleep(60)', {
        options: { timeout: 1, onCodeError: 'continue' },
      }),
    );
    expect(told.json('Run')).toMatchObject({ status: 'timed_out', stdout: 'begun\n' });
    const stopped = await run(
      [{ json: {} }],
      runCode('import time\ntime.sleep(60)', { options: { timeout: 1 } }),
    );
    expect(stopped.error?.message).toBe('The code was stopped by its time limit');
    expect(stopped.error?.description).toMatch(/Raise 'Timeout \(Seconds\)'/);
  });

  it('may be missing', async () => {
    const result = await run([{ json: {} }], runCode('  ', {}, CONTINUE));
    expect(result.json('Run')).toMatchObject({ error: "'Python Code' is empty" });
  });
});
