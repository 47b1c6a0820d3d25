/** Model → python → model, with a scripted model and real Python (checks 41–66, 82 and the loop around them). */
import type OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { textOf } from '../fakes/model-endpoint/script.js';
import { AUTO, callOf, OUTPUTS } from '../support/python-model.js';
import { CITY, eventsOf, lastResponse, python, type Response, useModelServer } from './model-server.js';

const models = useModelServer();

type Create = OpenAI.Responses.ResponseCreateParamsNonStreaming;

const create = (change: Partial<Create> = {}): Promise<Response> =>
  models.client.responses.create({ model: 'loop', input: 'go', tools: [AUTO], ...change });

const typesOf = (response: Response): string[] => response.output.map(({ type }) => type);

const PLOT = 'import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()';

describe('a model that repairs its code', () => {
  const turns = () =>
    models.fake.script(
      'loop',
      {
        reasoning: 'I divide.',
        calls: [python('1/0')],
        usage: { prompt_tokens: 100, completion_tokens: 10 },
      },
      {
        text: 'That was wrong.',
        calls: [python("open('/mnt/data/ok.txt', 'w').write('ok'); print('fixed')")],
        usage: { prompt_tokens: 200, completion_tokens: 20, cached_tokens: 50 },
      },
      {
        text: 'Done: [ok](sandbox:/mnt/data/ok.txt) 😀',
        usage: { prompt_tokens: 300, completion_tokens: 30, reasoning_tokens: 5 },
      },
    );

  it('gets the traceback, tries again, and answers with a link', async () => {
    turns();
    const response = await create({ include: OUTPUTS });
    expect(response.status).toBe('completed');
    expect(typesOf(response)).toEqual([
      'reasoning',
      'code_interpreter_call',
      'message',
      'code_interpreter_call',
      'message',
    ]);
    const [first, second] = response.output.filter((item) => item.type === 'code_interpreter_call');
    expect(first).toMatchObject({ status: 'completed', code: '1/0' });
    expect(second!.container_id).toBe(first!.container_id);
    expect(second!.outputs).toEqual([{ type: 'logs', logs: 'fixed\n' }]);
    expect(response.usage).toEqual({
      input_tokens: 600,
      input_tokens_details: { cached_tokens: 50, cache_write_tokens: 0 },
      output_tokens: 60,
      output_tokens_details: { reasoning_tokens: 5 },
      total_tokens: 660,
    });
    const asked = models.asked();
    expect(asked).toHaveLength(3);
    expect(textOf(asked[1]!.messages.at(-1))).toContain('ZeroDivisionError');
    expect(textOf(asked[2]!.messages.at(-1))).toBe('fixed\n\n\nFiles:\n- /mnt/data/ok.txt (2 bytes)');
    const last = response.output.at(-1) as OpenAI.Responses.ResponseOutputMessage;
    const part = last.content[0] as OpenAI.Responses.ResponseOutputText;
    const [citation] = part.annotations as OpenAI.Responses.ResponseOutputText.ContainerFileCitation[];
    expect(citation).toMatchObject({ type: 'container_file_citation', filename: 'ok.txt' });
    const span = [...part.text].slice(citation!.start_index, citation!.end_index).join('');
    expect(span).toBe('sandbox:/mnt/data/ok.txt');
    expect(await (await models.client.files.content(citation!.file_id)).text()).toBe('ok');
  });

  it('tells it in the right order', async () => {
    turns();
    const events = await eventsOf(
      models.client.responses.create({ model: 'loop', input: 'go', tools: [AUTO], stream: true }),
    );
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index));
    const names = events.map(({ type }) => type.replace('response.', ''));
    const once = names.filter((name, index) => name !== names[index - 1]);
    const call = [
      'output_item.added',
      'code_interpreter_call.in_progress',
      'code_interpreter_call_code.delta',
      'code_interpreter_call_code.done',
      'code_interpreter_call.interpreting',
      'code_interpreter_call.completed',
      'output_item.done',
    ];
    const message = [
      'content_part.added',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
    ];
    expect(once).toEqual([
      'created',
      'in_progress',
      ...['output_item.added', 'content_part.added', 'reasoning_text.delta', 'reasoning_text.done'],
      ...['content_part.done', 'output_item.done'],
      ...call,
      ...['output_item.added', ...message],
      ...call,
      ...['output_item.added', 'content_part.added', 'output_text.delta', 'output_text.annotation.added'],
      ...message.slice(2),
      'completed',
    ]);
    expect(typesOf(lastResponse(events))).toHaveLength(5);
  });
});

describe('figures', () => {
  it('go to a model that can see', async () => {
    models.fake.script('seeing', { calls: [python(PLOT)] }, { text: 'I see a line.' });
    await create({ model: 'seeing' });
    const last = models.asked('seeing')[1]!.messages.at(-1)!;
    expect(last.role).toBe('user');
    expect(JSON.stringify(last.content)).toContain('data:image/png;base64,');
  });

  it('are mentioned to one that cannot', async () => {
    models.fake.script('loop', { calls: [python(PLOT)] }, { text: 'A figure.' });
    await create();
    const last = models.asked()[1]!.messages.at(-1)!;
    expect(last.role).toBe('tool');
    expect(textOf(last)).toMatch(/A figure was shown/);
    expect(JSON.stringify(models.asked())).not.toContain('image/png');
  });
});

describe('limits and choices', () => {
  const toolNames = () => models.asked().map(({ tools }) => (tools ?? []).map((tool) => tool.function.name));

  it('max_tool_calls takes the tool away', async () => {
    models.fake.script('loop', { calls: [python('1')] }, { calls: [python('2')] }, { text: 'Enough.' });
    const response = await create({ max_tool_calls: 1 });
    expect(response).toMatchObject({ status: 'completed', output_text: 'Enough.' });
    expect(typesOf(response)).toEqual(['code_interpreter_call', 'message']);
    expect(toolNames()).toEqual([['python'], [], []]);
    expect(textOf(models.asked()[2]!.messages.at(-1))).toMatch(/limit of tool calls/);
  });

  it.each([
    ['required', 'required'],
    [{ type: 'code_interpreter' }, { type: 'function', function: { name: 'python' } }],
    [
      { type: 'function', name: 'get_city' },
      { type: 'function', function: { name: 'get_city' } },
    ],
  ] as const)('tool_choice %j holds for the first turn', async (tool_choice, sent) => {
    models.fake.script('loop', { calls: [python('1')] }, { text: 'Done.' });
    const response = await create({ tools: [AUTO, CITY], tool_choice });
    expect(response.tool_choice).toEqual(tool_choice);
    expect(models.asked().map((body) => body.tool_choice)).toEqual([sent, undefined]);
  });

  it('tool_choice none offers no tool', async () => {
    models.fake.script('loop', { text: 'By heart.' });
    expect(typesOf(await create({ tool_choice: 'none' }))).toEqual(['message']);
    expect(toolNames()).toEqual([[]]);
  });

  it('a model without tools gets none', async () => {
    await expect(create({ model: 'plain' })).rejects.toMatchObject({ status: 400, param: 'tools' });
    models.fake.script('plain', { text: 'Hello.' });
    expect((await create({ model: 'plain', tools: [] })).output_text).toBe('Hello.');
  });

  it('parallel_tool_calls false acts on the first call of a turn and forgets the others', async () => {
    models.fake.script('loop', { calls: [python('print(1)'), python('print(2)')] }, { text: 'One.' });
    const response = await create({ parallel_tool_calls: false, include: OUTPUTS });
    expect(typesOf(response)).toEqual(['code_interpreter_call', 'message']);
    expect(callOf(response).outputs).toEqual([{ type: 'logs', logs: '1\n' }]);
    const [first, second] = models.asked();
    expect(first).toMatchObject({ parallel_tool_calls: false });
    expect(second!.messages.flatMap(({ tool_calls }) => tool_calls ?? [])).toHaveLength(1);
    expect(second!.messages.filter(({ role }) => role === 'tool')).toHaveLength(1);
    models.fake.script('loop', { calls: [{ name: 'get_city', arguments: '{}' }, python('print(2)')] });
    const mixed = await create({ parallel_tool_calls: false, tools: [AUTO, CITY] });
    expect(typesOf(mixed)).toEqual(['function_call']);
  });

  it('allowed_tools hides the other tools', async () => {
    models.fake.script('loop', { text: 'Hm.' });
    const tool_choice = {
      type: 'allowed_tools',
      mode: 'required',
      tools: [{ type: 'function', name: 'get_city' }],
    };
    const response = await create({ tools: [AUTO, CITY], tool_choice: tool_choice as never });
    expect(response.tool_choice).toEqual(tool_choice);
    expect(toolNames()).toEqual([['get_city']]);
    expect(models.asked()[0]!.tool_choice).toBe('required');
  });

  it('max_output_tokens leaves the response incomplete', async () => {
    models.fake.script('loop', { text: 'It was a', finish: 'length' });
    const response = await create({ max_output_tokens: 16, tools: [] });
    expect(response).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
      output: [{ type: 'message', status: 'incomplete' }],
    });
    expect(models.asked()[0]).toMatchObject({ max_tokens: 16 });
  });

  it('does not run a call that the limit cut off', async () => {
    const half = { name: 'python', arguments: '{"code":"open(\'/mnt/data/never\', \'w' };
    models.fake.script('loop', { calls: [half], finish: 'length' });
    const response = await create({ max_output_tokens: 20 });
    expect(response.status).toBe('incomplete');
    expect(callOf(response)).toMatchObject({ status: 'incomplete', code: "open('/mnt/data/never', 'w" });
  });

  it('a content filter leaves it incomplete too', async () => {
    models.fake.script('loop', { text: 'I', finish: 'content_filter' });
    expect((await create({ tools: [] })).incomplete_details).toEqual({ reason: 'content_filter' });
  });
});

describe('python and a function of the client in one turn', () => {
  it.each([true, false])(
    'runs the one, hands out the other, and goes on (python first: %s)',
    async (pythonFirst) => {
      const both = [python('x = 20; print(x)'), { name: 'get_city', arguments: '{}', id: 'call_city' }];
      models.fake.script('loop', { calls: pythonFirst ? both : both.toReversed() });
      const first = await create({ tools: [AUTO, CITY] });
      expect(first.status).toBe('completed');
      expect(typesOf(first).toSorted()).toEqual(['code_interpreter_call', 'function_call']);
      expect(first.output.find(({ type }) => type === 'function_call')).toMatchObject({
        call_id: 'call_city',
        name: 'get_city',
        status: 'completed',
      });
      models.fake.script('loop', { calls: [python('print(x + 1)')] }, { text: 'Rome, 21.' });
      const second = await create({
        tools: [AUTO, CITY],
        previous_response_id: first.id,
        input: [{ type: 'function_call_output', call_id: 'call_city', output: 'Rome' }],
        include: OUTPUTS,
      });
      expect(second.output_text).toBe('Rome, 21.');
      expect(callOf(second).outputs).toEqual([{ type: 'logs', logs: '21\n' }]);
      expect(callOf(second).container_id).toBe(callOf(first).container_id);
      const { messages } = models.asked()[1]!;
      const answered = messages.filter(({ role }) => role === 'tool').map(textOf);
      expect(answered.toSorted()).toEqual(['20\n', 'Rome']);
      const called = messages
        .flatMap(({ tool_calls }) => (tool_calls ?? []) as { id: string }[])
        .map(({ id }) => id);
      const answers = messages.flatMap(({ tool_call_id }) =>
        tool_call_id === undefined ? [] : [tool_call_id],
      );
      expect(answers.toSorted()).toEqual(called.toSorted());
    },
  );
});

describe('what is said', () => {
  const plain = { tools: [] };

  it('82: instructions are not inherited', async () => {
    models.fake.script('loop', { text: 'Arr.' }, { text: 'Yes.' });
    const first = await create({ ...plain, instructions: 'Talk like a pirate.' });
    await create({ ...plain, previous_response_id: first.id, input: 'again' });
    const [one, two] = models
      .asked()
      .map(({ messages }) => messages.map((message) => [message.role, textOf(message)]));
    expect(one).toEqual([
      ['system', 'Talk like a pirate.'],
      ['user', 'go'],
    ]);
    expect(two).toEqual([
      ['user', 'go'],
      ['assistant', 'Arr.'],
      ['user', 'again'],
    ]);
  });

  it('a schema for the answer goes through', async () => {
    const schema = {
      type: 'object',
      properties: { a: { type: 'integer' } },
      required: ['a'],
      additionalProperties: false,
    };
    models.fake.script('loop', { text: '{"a":1}' });
    const response = await create({
      ...plain,
      text: { format: { type: 'json_schema', name: 'answer', schema, strict: true } },
    });
    expect(JSON.parse(response.output_text)).toEqual({ a: 1 });
    expect(models.asked()[0]!['response_format']).toEqual({
      type: 'json_schema',
      json_schema: { name: 'answer', schema, strict: true },
    });
  });

  it('a refusal is a part of its own', async () => {
    models.fake.script('loop', { refusal: 'I will not.' });
    const response = await create(plain);
    expect(response.output).toMatchObject([
      { type: 'message', content: [{ type: 'refusal', refusal: 'I will not.' }] },
    ]);
  });

  it('reasoning is a summary if one was asked for', async () => {
    models.fake.script('loop', { reasoning: 'Hm.', text: 'a' }, { reasoning: 'Hm.', text: 'b' });
    const shown = await create({ ...plain, reasoning: { effort: 'low', summary: 'auto' } });
    expect(shown.output[0]).toMatchObject({
      type: 'reasoning',
      summary: [{ type: 'summary_text', text: 'Hm.' }],
    });
    expect(models.asked()[0]!['reasoning_effort']).toBe('low');
    const other = await create(plain);
    expect(other.output[0]).toMatchObject({
      type: 'reasoning',
      summary: [],
      content: [{ type: 'reasoning_text', text: 'Hm.' }],
    });
  });

  it('models are listed', async () => {
    const ids: string[] = [];
    for await (const { id } of models.client.models.list()) ids.push(id);
    expect(ids).toEqual(['python', 'loop', 'seeing', 'plain', 'narrow', 'keyless', 'default']);
    expect(await models.client.models.retrieve('fake/loop')).toMatchObject({ owned_by: 'fake' });
  });
});
