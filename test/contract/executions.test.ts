/** Executions: running given code without a model. An extension beside the Containers API. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually, type Execution, type Json, type Page } from '../support/api.js';
import { useProject } from '../support/project.js';

const project = useProject();
let container = '';
let path = '';
beforeAll(async () => {
  container = await project.api.newContainer();
  path = `/containers/${container}/executions`;
});
afterAll(async () => project.api.delete(`/containers/${container}`));

const run = (code: string, fields: Json = {}) => project.api.run(container, code, fields);
const LOOP = 'import time\nwhile True: time.sleep(0.05)';

/** Starts code and returns its execution as soon as it runs. */
async function begin(code: string): Promise<Execution> {
  void project.api.post(path, { code }).catch(() => undefined);
  const newest = async () => (await project.api.ok<Page<Execution>>('GET', `${path}?limit=1`)).data[0];
  const found = await eventually(newest, (each) => each?.status === 'running');
  if (!found) throw new Error('nothing runs');
  return found;
}

describe('one execution', () => {
  it('tells all that happened', async () => {
    const made = await run(
      "import sys\nprint('out'); print('err', file=sys.stderr)\nopen('/mnt/data/made.txt', 'w').write('x')\n6 * 7",
    );
    expect(made).toEqual({
      id: expect.stringMatching(/^exec_/),
      object: 'container.execution',
      container_id: container,
      response_id: null,
      status: 'completed',
      code: expect.stringContaining('6 * 7'),
      outputs: [
        { type: 'stdout', text: 'out\n' },
        { type: 'stderr', text: 'err\n' },
        { type: 'result', text: '42' },
      ],
      error: null,
      files: [
        { id: expect.stringMatching(/^cfile_/), path: '/mnt/data/made.txt', bytes: 1, change: 'created' },
      ],
      value: null,
      state_lost: false,
      duration_ms: expect.any(Number),
      peak_memory_bytes: expect.any(Number),
      timeout_ms: 120_000,
      created_at: expect.any(Number),
      started_at: expect.any(Number),
      completed_at: expect.any(Number),
    });
    expect((await project.api.get(`/containers/${container}/files/${made.files[0]!.id}/content`)).text).toBe(
      'x',
    );
    expect(await project.api.ok('GET', `${path}/${made.id}`)).toEqual(made);
  });

  it('keeps state for the next one', async () => {
    await run('value = {"a": [1]}\ndef double(x): return x * 2\nimport math');
    expect((await run('double(value["a"] + [math.floor(2.5)])')).outputs).toEqual([
      { type: 'result', text: '[1, 2, 1, 2]' },
    ]);
  });

  it('gives the traceback of an exception', async () => {
    const made = await run('def f(x):\n    return 1 / x\nf(0)');
    expect(made.status).toBe('completed');
    expect(made.error).toMatchObject({ name: 'ZeroDivisionError', value: 'division by zero' });
    expect(made.error!.traceback).toContain('return 1 / x');
    expect(made.error!.traceback).not.toContain('\u001b');
    expect((await run('def broken(:')).error!.name).toBe('SyntaxError');
    expect((await run('import sys; sys.exit(3)')).status).toMatch(/^(completed|kernel_died)$/);
  });

  it('shows figures as files', async () => {
    const made = await run(
      'import matplotlib.pyplot as plt\nfor n in (1, 2):\n    plt.figure(); plt.plot([n, 2]); plt.show()',
    );
    const images = made.outputs.filter(({ type }) => type === 'image');
    expect(images).toHaveLength(2);
    expect(images[0]).toMatchObject({ mime_type: 'image/png', bytes: expect.any(Number) });
    const file = await project.api.request(
      'GET',
      `/containers/${container}/files/${images[0]!.file_id}/content`,
    );
    expect(file.text.slice(1, 4)).toBe('PNG');
  });

  it('tells of files that changed and files that went', async () => {
    await run("open('/mnt/data/a.txt', 'w').write('1'); open('/mnt/data/b.txt', 'w').write('1')");
    const made = await run(
      "import os; open('/mnt/data/a.txt', 'w').write('22'); os.remove('/mnt/data/b.txt')",
    );
    expect(made.files.map(({ path: name, change, bytes }) => [name, change, bytes]).sort()).toEqual([
      ['/mnt/data/a.txt', 'modified', 2],
      ['/mnt/data/b.txt', 'deleted', expect.any(Number)],
    ]);
  });

  it('cuts long output in the middle, and says so', async () => {
    const made = await run("print('HEAD'); print('x' * 5_000_000); print('TAIL')");
    const text = made.outputs.map((output) => output.text ?? '').join('');
    expect(text.length).toBeLessThan(1_200_000);
    expect(text).toMatch(/^HEAD\n/);
    expect(text).toMatch(/TAIL\n$/);
    expect(
      made.outputs.filter(({ type }) => type === 'notice').length +
        Number(/cut|omitted|truncat|left out/.test(text)),
    ).toBeGreaterThan(0);
  });

  it('takes any text', async () => {
    const made = await run("print('😀 Ж \\x00 \\ud800'.encode('utf-8', 'replace')); print(chr(0) + 'é')");
    expect(made.status).toBe('completed');
    expect(made.outputs[0]!.text).toContain('é');
  });

  it('61: survives that memory runs out', async () => {
    const made = await run('big = []\nwhile True: big.append(bytearray(64 * 1024 * 1024))');
    expect(['out_of_memory', 'completed']).toContain(made.status);
    expect(JSON.stringify(made.outputs)).toMatch(/memory/i);
    expect((await run('print(1)')).outputs.at(-1)).toEqual({ type: 'stdout', text: '1\n' });
  });
});

describe('time', () => {
  it('60: is limited, and the container goes on with its state', async () => {
    await run('kept = 5');
    const made = await run(LOOP, { timeout_ms: 1_000 });
    expect(made).toMatchObject({ status: 'timed_out', timeout_ms: 1_000 });
    expect(made.duration_ms!).toBeGreaterThanOrEqual(900);
    expect(made.duration_ms!).toBeLessThan(15_000);
    const next = await run("print(globals().get('kept'))");
    expect(next.outputs.at(-1)).toEqual({ type: 'stdout', text: made.state_lost ? 'None\n' : '5\n' });
  });

  it('60: is limited for code that does not listen, too', async () => {
    const deaf =
      'import time\nwhile True:\n    try:\n        while True: time.sleep(0.01)\n    except BaseException: pass';
    const made = await run(deaf, { timeout_ms: 1_000 });
    expect(made).toMatchObject({ status: 'timed_out', state_lost: true });
    expect((await run('print(2)')).outputs.at(-1)).toEqual({ type: 'stdout', text: '2\n' });
  });

  it.each([
    [99, 'integer_below_min_value'],
    [3_600_001, 'integer_above_max_value'],
    ['1000', 'invalid_type'],
    [1000.5, 'invalid_type'],
  ])('a timeout of %j is refused', async (timeout_ms, code) => {
    expect(await project.api.refused(400, 'POST', path, { code: '1', timeout_ms })).toMatchObject({
      code,
      param: 'timeout_ms',
    });
  });
});

describe('a running execution', () => {
  it('is cancelled', async () => {
    const running = await begin(LOOP);
    await project.api.ok('POST', `${path}/${running.id}/cancel`);
    const ended = await eventually(
      () => project.api.ok<Execution>('GET', `${path}/${running.id}`),
      ({ status }) => status !== 'running',
    );
    expect(ended).toMatchObject({ status: 'interrupted', completed_at: expect.any(Number) });
    expect(await project.api.ok('POST', `${path}/${running.id}/cancel`)).toMatchObject({
      status: 'interrupted',
    });
    expect((await run('print(3)')).outputs.at(-1)).toEqual({ type: 'stdout', text: '3\n' });
  });

  it('is followed by the next one', async () => {
    const begin = run("import time; time.sleep(0.7); order = ['first']");
    await sleep(150);
    const [, second] = await Promise.all([begin, run("order.append('second'); print(order)")]);
    expect(second.outputs.at(-1)).toEqual({ type: 'stdout', text: "['first', 'second']\n" });
  });

  it('ends with its container', async () => {
    const own = await project.api.newContainer();
    const reply = project.api.post(`/containers/${own}/executions`, { code: LOOP });
    await eventually(
      async () =>
        (await project.api.ok<Page<Execution>>('GET', `/containers/${own}/executions`)).data[0]?.status,
      (status) => status === 'running',
    );
    await project.api.ok('DELETE', `/containers/${own}`);
    const { status } = await reply;
    expect([200, 404]).toContain(status);
    await project.api.refused(404, 'GET', `/containers/${own}/executions`);
  });
});

describe('a stream', () => {
  it('tells outputs while they appear', async () => {
    const reply = await project.api.stream(path, {
      code: "import time\nfor n in range(3):\n    print(n, flush=True); time.sleep(0.3)\n'end'",
      stream: true,
    });
    expect(reply.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(reply.events.map(({ data }) => data['sequence_number'])).toEqual(
      reply.events.map((_, index) => index),
    );
    expect(reply.events.map(({ event }) => event)).toEqual([
      'execution.started',
      ...reply.events.slice(1, -1).map(() => 'execution.output'),
      'execution.completed',
    ]);
    expect(reply.events.length).toBeGreaterThanOrEqual(5);
    const last = reply.events.at(-1)!.data['execution'] as Execution;
    expect(last.outputs).toEqual([
      { type: 'stdout', text: '0\n1\n2\n' },
      { type: 'result', text: "'end'" },
    ]);
    expect(reply.text).not.toMatch(/^id:/m);
    expect(await project.api.ok('GET', `${path}/${last.id}`)).toEqual(last);
  });

  it('refuses before it begins', async () => {
    expect(await project.api.refused(400, 'POST', path, { code: '', stream: true })).toMatchObject({
      param: 'code',
    });
    await project.api.refused(404, 'POST', '/containers/cntr_x/executions', { code: '1', stream: true });
  });

  it('96: that nobody reads stops the code', async () => {
    const controller = new AbortController();
    const reply = await fetch(`${project.server.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${project.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ code: LOOP, stream: true }),
      signal: controller.signal,
    });
    const reader = reply.body!.getReader();
    await reader.read();
    const id = (await project.api.ok<Page<Execution>>('GET', `${path}?limit=1`)).data[0]!.id;
    controller.abort();
    const ended = await eventually(
      () => project.api.ok<Execution>('GET', `${path}/${id}`),
      ({ status }) => status !== 'running' && status !== 'queued',
    );
    expect(ended.status).toBe('interrupted');
    expect((await run('print(4)')).outputs.at(-1)).toEqual({ type: 'stdout', text: '4\n' });
  });
});

describe('lists', () => {
  it('page through', async () => {
    const own = await project.api.newContainer();
    const ids = [];
    for (const code of ['1', '2', '3']) ids.push((await project.api.run(own, code)).id);
    const page = await project.api.ok<Page<Execution>>('GET', `/containers/${own}/executions?limit=2`);
    expect(page).toMatchObject({ object: 'list', has_more: true, first_id: ids[2], last_id: ids[1] });
    const rest = await project.api.ok<Page<Execution>>(
      'GET',
      `/containers/${own}/executions?limit=2&after=${ids[1]}`,
    );
    expect(rest.data.map(({ id }) => id)).toEqual([ids[0]]);
    expect(rest.has_more).toBe(false);
    await project.api.refused(404, 'GET', `/containers/${own}/executions?after=exec_x`);
    await project.api.refused(404, 'GET', `/containers/${own}/executions/exec_x`);
    await project.api.refused(404, 'POST', `/containers/${own}/executions/exec_x/cancel`);
    await project.api.refused(404, 'GET', `/containers/${own}/executions/${(await run('1')).id}`);
    await project.api.delete(`/containers/${own}`);
  });
});

describe('session keys', () => {
  it('twenty calls at once share one container', async () => {
    const made = await Promise.all(
      Array.from({ length: 20 }, () =>
        project.api.ok<{ id: string; session_key: string }>('POST', '/containers', {
          name: 's',
          session_key: 'crowd',
        }),
      ),
    );
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(made[0]!.session_key).toBe('crowd');
    await project.api.ok('DELETE', `/containers/${made[0]!.id}`);
    const next = await project.api.ok<{ id: string }>('POST', '/containers', {
      name: 's',
      session_key: 'crowd',
    });
    expect(next.id).not.toBe(made[0]!.id);
    await project.api.ok('DELETE', `/containers/${next.id}`);
  });

  it('are taken by automatic containers', async () => {
    const file = await project.api.upload('session.txt', 'seen');
    const request = (input: string, container: Json) => ({
      model: 'python',
      input,
      include: ['code_interpreter_call.outputs'],
      tools: [{ type: 'code_interpreter', container: { type: 'auto', session_key: 'chat-1', ...container } }],
    });
    type Made = { output: { container_id: string; outputs: { logs: string }[] }[] };
    const one = await project.api.ok<Made>('POST', '/responses', request('n = 1', {}));
    const two = await project.api.ok<Made>(
      'POST',
      '/responses',
      request("n += 1; import glob; print(n, len(glob.glob('*session.txt')))", { file_ids: [file] }),
    );
    expect(two.output[0]).toMatchObject({
      container_id: one.output[0]!.container_id,
      outputs: [{ logs: '2 1\n' }],
    });
    await project.api.ok('DELETE', `/containers/${one.output[0]!.container_id}`);
  });

  it.each([
    ['', 'string_below_min_length'],
    ['k'.repeat(257), 'string_above_max_length'],
    [5, 'invalid_type'],
  ])('%j is refused', async (session_key, code) => {
    expect(await project.api.refused(400, 'POST', '/containers', { name: 's', session_key })).toMatchObject({
      code,
      param: 'session_key',
    });
  });
});
