/** The code interpreter without a stream (checks 41–66), with the built-in model `python`. */
import { randomBytes } from 'node:crypto';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { behaviour, errorOf, newest, type OfficialClient } from '../support/clients.js';
import { useProject } from '../support/project.js';
import { AUTO, callOf, logsOf, OUTPUTS, type PythonRequest, runPython } from '../support/python-model.js';

const project = useProject();

describe.each(behaviour)('$name: an automatic container', ({ connect }: OfficialClient) => {
  let client: OpenAI;
  let first: OpenAI.Responses.Response;
  const run = (input: string, request: PythonRequest = {}) => runPython(client, input, request);

  beforeAll(async () => {
    client = connect(project);
    first = await run("x = 41\nopen('/mnt/data/kept.txt', 'w').write('kept')\nprint('hello')");
  });

  it('41: one call, then a message', () => {
    expect(first).toMatchObject({ object: 'response', status: 'completed', model: 'python' });
    expect(first.id).toMatch(/^resp_[0-9a-f]{48}$/);
    expect(first.output.map(({ type }) => type)).toEqual(['code_interpreter_call', 'message']);
    const call = callOf(first);
    expect(call).toMatchObject({
      id: expect.stringMatching(/^ci_/),
      status: 'completed',
      container_id: expect.stringMatching(/^cntr_/),
      code: expect.stringContaining('x = 41'),
    });
    expect(first.output_text).toContain('hello');
    expect(first.output[1]).toMatchObject({
      id: expect.stringMatching(/^msg_/),
      role: 'assistant',
      status: 'completed',
    });
  });

  it('42: shows outputs only when they are asked for', async () => {
    expect(callOf(first).outputs).toBeNull();
    const shown = await run("print('one'); print('two')", { previous: first, include: OUTPUTS });
    expect(callOf(shown).outputs).toEqual([{ type: 'logs', logs: 'one\ntwo\n' }]);
    const silent = await run('y = 1', { previous: first, include: OUTPUTS });
    expect(callOf(silent).outputs).toEqual([]);
  });

  it('43: decides that at each look', async () => {
    const seen = await client.responses.retrieve(first.id);
    expect(callOf(seen).outputs).toBeNull();
    expect(seen.output_text).toBe(first.output_text);
    const full = await client.responses.retrieve(first.id, { include: OUTPUTS });
    expect(logsOf(full)).toContain('hello\n');
  });

  it('44: shows the value of the last expression', async () => {
    expect(logsOf(await run('1+1', { previous: first, include: OUTPUTS }))).toBe('2');
  });

  it('45: an exception is data', async () => {
    const failed = await run("print('before')\nraise ValueError('x')", { previous: first, include: OUTPUTS });
    expect(failed.status).toBe('completed');
    expect(callOf(failed).status).toBe('completed');
    expect(logsOf(failed)).toMatch(/^before\n/);
    expect(logsOf(failed)).toContain('ValueError: x');
    expect(logsOf(failed)).not.toContain('\u001b[');
  });

  it('46, 48: a follow-up has the same container, variables and files', async () => {
    const next = await run("print(x + 1, open('kept.txt').read())", { previous: first, include: OUTPUTS });
    expect(callOf(next).container_id).toBe(callOf(first).container_id);
    expect(logsOf(next)).toBe('42 kept\n');
  });

  it('46, 48: so has one that replays the call instead', async () => {
    const next = await client.responses.create({
      model: 'python',
      input: [...first.output, { role: 'user', content: 'print(x + 2)' }] as never,
      tools: [AUTO],
      include: OUTPUTS,
    });
    expect(callOf(next).container_id).toBe(callOf(first).container_id);
    expect(logsOf(next)).toBe('43\n');
  });

  it('47: it can be found', async () => {
    const id = callOf(first).container_id;
    expect((await client.containers.retrieve(id)).status).toBe('running');
    expect((await client.containers.list({ limit: 100 })).data.map((each) => each.id)).toContain(id);
  });

  it('49: unrelated requests have their own', async () => {
    const other = await run("import os; print('x' in globals(), os.listdir('/mnt/data'))", {
      include: OUTPUTS,
    });
    expect(callOf(other).container_id).not.toBe(callOf(first).container_id);
    expect(logsOf(other)).toBe('False []\n');
    await client.containers.delete(callOf(other).container_id);
  });

  it('57, 58: cites what it made, and the citation downloads', async () => {
    const made = await run("open('/mnt/data/öut put.csv', 'w').write('a,b'); print('😀')", {
      previous: first,
    });
    const part = made.output.at(-1) as OpenAI.Responses.ResponseOutputMessage;
    const content = part.content[0] as OpenAI.Responses.ResponseOutputText;
    const citation = content.annotations.find((each) => each.type === 'container_file_citation')!;
    expect(citation).toMatchObject({ container_id: callOf(first).container_id, filename: 'öut put.csv' });
    const span = [...content.text].slice(citation.start_index, citation.end_index).join('');
    expect(decodeURI(span)).toBe('sandbox:/mnt/data/öut put.csv');
    const where = { container_id: citation.container_id };
    expect(await (await client.containers.files.content.retrieve(citation.file_id, where)).text()).toBe(
      'a,b',
    );
    expect(await (await client.files.content(citation.file_id)).text()).toBe('a,b');
    expect(await client.files.retrieve(citation.file_id)).toMatchObject({
      filename: 'öut put.csv',
      bytes: 3,
    });
    expect(await client.containers.files.retrieve(citation.file_id, where)).toMatchObject({
      source: 'assistant',
      bytes: 3,
    });
  });

  it('63: counts tool calls', async () => {
    const limited = await run('print(1)', { previous: first, max_tool_calls: 1 });
    expect(limited.output.filter(({ type }) => type === 'code_interpreter_call')).toHaveLength(1);
    expect(limited).toMatchObject({ status: 'completed', max_tool_calls: 1 });
  });

  it('64: does as tool_choice says, and echoes it', async () => {
    for (const choice of ['auto', 'required', { type: 'code_interpreter' }] as const) {
      const made = await run('print(1)', { previous: first, tool_choice: choice });
      expect(made.tool_choice).toEqual(choice);
      expect(callOf(made).status).toBe('completed');
    }
    const none = await run('print(1)', { previous: first, tool_choice: 'none' });
    expect(none.tool_choice).toBe('none');
    expect(none.output.filter(({ type }) => type === 'code_interpreter_call')).toEqual([]);
  });

  it('65: the tool that is chosen must be there', async () => {
    const call = client.responses.create({
      model: 'python',
      input: '1',
      tool_choice: { type: 'code_interpreter' },
    });
    expect(await errorOf(call)).toMatchObject({ status: 400, param: 'tool_choice', code: 'invalid_value' });
  });

  afterAll(async () => client.containers.delete(callOf(first).container_id));
});

describe.each(behaviour)('$name: a container of the caller', ({ connect, toFile }: OfficialClient) => {
  let client: OpenAI;
  let container: string;
  const run = (input: string, request: PythonRequest = {}) =>
    runPython(client, input, { container, include: OUTPUTS, ...request });

  beforeAll(async () => {
    client = connect(project);
    container = (await client.containers.create({ name: 'explicit' })).id;
  });
  afterAll(async () => client.containers.delete(container));

  it('50: is used, with its files and its state', async () => {
    const file = await client.containers.files.create(container, {
      file: await toFile(Buffer.from('in'), 'in.txt'),
    });
    const one = await run(`text = open(${JSON.stringify(file.path)}).read(); print(text)`);
    expect(callOf(one).container_id).toBe(container);
    expect(logsOf(one)).toBe('in\n');
    expect(logsOf(await run('print(text * 2)'))).toBe('inin\n');
  });

  it('51: must be named', async () => {
    const call = client.responses.create({
      model: 'python',
      input: '1',
      tools: [{ type: 'code_interpreter' } as never],
    });
    expect(await errorOf(call)).toMatchObject({
      status: 400,
      code: 'missing_required_parameter',
      param: 'tools[0].container',
    });
  });

  it('52: must exist', async () => {
    const error = await errorOf(runPython(client, '1', { container: 'cntr_unknown' }));
    expect(error).toMatchObject({
      status: 404,
      message: expect.stringContaining("Container with id 'cntr_unknown' not found."),
    });
    expect(await errorOf(runPython(client, '1', { container: 'c'.repeat(65) }))).toMatchObject({
      status: 400,
      code: 'string_above_max_length',
      param: 'tools[0].container',
    });
  });

  it('54: an automatic one has the files of the request', async () => {
    const file = await project.api.upload('sales.csv', 'a\n7\n');
    const auto = { type: 'auto' as const, file_ids: [file] };
    const made = await runPython(
      client,
      "import glob; print(open(glob.glob('/mnt/data/*sales.csv')[0]).read())",
      {
        container: auto,
        include: OUTPUTS,
      },
    );
    expect(logsOf(made)).toBe('a\n7\n\n');
    expect((made.tools[0] as OpenAI.Responses.Tool.CodeInterpreter).container).toEqual(auto);
    const files = await client.containers.files.list(callOf(made).container_id);
    expect(files.data[0]).toMatchObject({
      source: 'user',
      path: expect.stringMatching(/^\/mnt\/data\/.*sales\.csv$/),
    });
    const again = await runPython(client, 'print(1)', { container: auto, previous: made });
    expect(callOf(again).container_id).toBe(callOf(made).container_id);
    expect((await client.containers.files.list(callOf(made).container_id)).data).toHaveLength(1);
    await client.containers.delete(callOf(made).container_id);
  });

  it('54: at most fifty of them, and all of them known', async () => {
    const call = (file_ids: string[]) => runPython(client, '1', { container: { type: 'auto', file_ids } });
    expect(await errorOf(call(Array.from({ length: 51 }, (_, index) => `file-${index}`)))).toMatchObject({
      status: 400,
      code: 'array_above_max_length',
      param: 'tools[0].container.file_ids',
    });
    expect(await errorOf(call(['file-unknown']))).toMatchObject({
      status: 404,
      param: 'tools[0].container.file_ids',
    });
  });

  it('55: files in the message are in the container', async () => {
    const file = await project.api.upload('by-id.txt', 'by id');
    const made = await client.responses.create({
      model: 'python',
      tools: [{ type: 'code_interpreter', container }],
      include: OUTPUTS,
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_file', file_id: file },
            {
              type: 'input_file',
              filename: 'inline.txt',
              file_data: `data:text/plain;base64,${Buffer.from('inline').toString('base64')}`,
            },
            { type: 'input_file', filename: 'bare.txt', file_data: Buffer.from('bare').toString('base64') },
            {
              type: 'input_text',
              text: "```python\nimport glob\nfor p in ['by-id', 'inline', 'bare']: print(open(glob.glob(f'/mnt/data/*{p}.txt')[0]).read())\n```",
            },
          ],
        },
      ],
    });
    expect(logsOf(made)).toBe('by id\ninline\nbare\n');
  });

  it('56: a figure is an image, and a file', async () => {
    const made = await run(
      "import matplotlib.pyplot as plt\nplt.plot([1, 2, 4])\nplt.title('Ж € 图')\nplt.show()",
    );
    const image = callOf(made).outputs!.find((each) => each.type === 'image')!;
    expect(image.url).toMatch(/^data:image\/png;base64,/);
    const png = Buffer.from(image.url.split(',')[1]!, 'base64');
    expect(png.subarray(0, 8).toString('latin1')).toBe('\u0089PNG\r\n\u001a\n');
    expect(png.readUInt32BE(16)).toBeGreaterThan(200);
    const files = (await client.containers.files.list(container)).data.filter(({ path }) =>
      path.endsWith('.png'),
    );
    expect(files).toHaveLength(1);
    expect(files[0]).toMatchObject({
      bytes: png.length,
      path: `/mnt/data/${files[0]!.id}.png`,
      source: 'assistant',
    });
    expect(JSON.stringify(made.output.at(-1))).toContain(files[0]!.id);
  });

  it('61: memory beyond the limit costs the variables, not the container', async () => {
    await run("kept = 1; open('/mnt/data/before.txt', 'w').write('safe')");
    const made = await run(
      "hog = []\nfor _ in range(400): hog.append(b'x' * (16 * 1024 * 1024))\nprint('never')",
    );
    expect(made.status).toBe('completed');
    expect(logsOf(made)).toMatch(/memory/i);
    expect(logsOf(made)).not.toContain('never');
    expect(logsOf(await run("print(open('/mnt/data/before.txt').read(), 'kept' in globals())"))).toMatch(
      /safe (True|False)\n$/,
    );
  });
});

describe('a sandbox', () => {
  const client = () => newest.connect(project);
  const run = (input: string, request: PythonRequest = {}) =>
    runPython(client(), input, { include: OUTPUTS, ...request });

  it('53: has the memory that was asked for', async () => {
    const made = await run('print(1)', { container: { type: 'auto', memory_limit: '64g' } as never });
    const id = callOf(made).container_id;
    expect(await client().containers.retrieve(id)).toMatchObject({ memory_limit: '64g' });
    await client().containers.delete(id);
  });

  it('59: has no network', async () => {
    const made = await run(
      [
        'import socket, urllib.request',
        "for url in ['https://example.com', 'http://169.254.169.254/', 'http://1.1.1.1/', 'http://127.0.0.1:2375/']:",
        '    try: urllib.request.urlopen(url, timeout=5); print("OPEN", url)',
        '    except Exception as error: print(type(error).__name__)',
        "try: socket.getaddrinfo('example.com', 80); print('OPEN')",
        'except OSError: print("closed")',
      ].join('\n'),
    );
    expect(logsOf(made)).toBe('URLError\nURLError\nURLError\nURLError\nclosed\n');
  });

  it('62: has the libraries for data', async () => {
    const made = await run(
      'import pandas, numpy, matplotlib, scipy, openpyxl, PIL; print(pandas.DataFrame({"a": [1]}).shape)',
    );
    expect(logsOf(made)).toBe('(1, 1)\n');
  });

  it('66: shows nothing of another one', async () => {
    const secret = `s${randomBytes(8).toString('hex')}`;
    const look = [
      'import glob, os, pathlib',
      `needle = ${JSON.stringify(secret.slice(1))}`,
      "print([p for p in glob.glob('/proc/[0-9]*/cmdline') if needle in pathlib.Path(p).read_bytes().decode(errors='replace')])",
      "print([p for d in ('/mnt', '/tmp', '/dev/shm', '/var/tmp') for p, _, names in os.walk(d) if any(needle in n for n in names)])",
    ].join('\n');
    const hide = [
      'import subprocess',
      `for d in ('/mnt/data', '/tmp'): open(f'{d}/${secret}', 'w').write('x')`,
      `p = subprocess.Popen(['sleep', '60'], executable='/bin/sleep', env={}); q = subprocess.Popen(['/bin/sh', '-c', 'sleep 60; echo ${secret}'])`,
    ].join('\n');
    const one = await run(hide);
    const two = await run(look);
    expect(callOf(two).container_id).not.toBe(callOf(one).container_id);
    expect(logsOf(two)).toBe('[]\n[]\n');
    expect(logsOf(await run(look, { previous: one }))).not.toBe('[]\n[]\n');
  });
});
