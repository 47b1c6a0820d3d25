/** The fake endpoint itself: a test that relies on it relies on this. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { pieces } from '../../fakes/model-endpoint/dialects.js';
import { ModelEndpoint } from '../../fakes/model-endpoint/server.js';

const fake = new ModelEndpoint({ models: ['rules', 'm'] });
beforeAll(async () => fake.start());
afterAll(async () => fake.stop());
beforeEach(() => fake.reset());

const PYTHON = [{ type: 'function', function: { name: 'python' } }];
const user = (content: string) => ({ role: 'user', content });

async function ask(body: Record<string, unknown>, url = fake.url) {
  const reply = await fetch(`${url}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'm', ...body }),
  });
  return { status: reply.status, headers: reply.headers, text: await reply.text() };
}

interface Completion {
  readonly choices: readonly {
    readonly message: {
      readonly content: string | null;
      readonly tool_calls?: readonly {
        readonly function: { readonly name: string; readonly arguments: string };
      }[];
    };
  }[];
}

const answer = async (body: Record<string, unknown>) =>
  (JSON.parse((await ask(body)).text) as Completion).choices[0]!.message;

describe('scripts', () => {
  it('are played in order, then rules take over', async () => {
    fake.script('m', { text: 'one' }, { text: 'two' });
    const messages = [user('hello')];
    expect((await answer({ messages })).content).toBe('one');
    expect((await answer({ messages })).content).toBe('two');
    expect((await answer({ messages })).content).toBe('You said: hello');
    expect(fake.requestsOf('m').map(({ body }) => body.messages)).toEqual([messages, messages, messages]);
  });

  it('come over the control API too', async () => {
    const control = fake.url.replace('/v1', '/control');
    const post = { method: 'POST', body: JSON.stringify({ model: 'm', turns: [{ text: 'pushed' }] }) };
    await fetch(`${control}/scripts`, post);
    expect((await answer({ messages: [user('x')] })).content).toBe('pushed');
    const { data } = (await (await fetch(`${control}/requests`)).json()) as { data: unknown[] };
    expect(data).toHaveLength(1);
    await fetch(control, { method: 'DELETE' });
    expect(fake.requests).toHaveLength(0);
  });

  it('stream in pieces, usage last, the same each time', async () => {
    fake.script('m', { text: 'abcdefgh', chunk: 3 }, { text: 'abcdefgh', chunk: 3 });
    const body = { stream: true, messages: [user('x')] };
    const [one, two] = [await ask(body), await ask(body)];
    expect(one.text.match(/"content":"(.*?)"/g)).toEqual([
      '"content":""',
      '"content":"abc"',
      '"content":"def"',
      '"content":"gh"',
    ]);
    expect(one.text).toMatch(/"completion_tokens":2.*\n\ndata: \[DONE\]\n\n$/);
    expect(two.text.replaceAll(/chatcmpl-\d+/g, 'id')).toBe(one.text.replaceAll(/chatcmpl-\d+/g, 'id'));
  });

  it('cut text into pieces without harming characters', () => {
    expect(pieces('a😀b', 1)).toEqual(['a', '😀', 'b']);
    expect(pieces('', 5)).toEqual([]);
  });
});

describe('rules', () => {
  it('run code, then tell and link', async () => {
    const asked = user('please\n```python\nprint(1)\n```');
    const called = await answer({ messages: [asked], tools: PYTHON });
    expect(called.tool_calls![0]!.function).toEqual({ name: 'python', arguments: '{"code":"print(1)\\n"}' });
    const result = { role: 'tool', tool_call_id: 'c', content: '1\n\nFiles:\n- /mnt/data/a b.csv (3 bytes)' };
    const told = await answer({
      messages: [asked, { role: 'assistant', content: null, tool_calls: called.tool_calls }, result],
      tools: PYTHON,
    });
    expect(told.content).toBe('Result: 1\n[a b.csv](sandbox:/mnt/data/a%20b.csv)');
  });

  it('call functions that are there', async () => {
    const tools = [...PYTHON, { type: 'function', function: { name: 'f' } }];
    const messages = [user('@call f {"a":1}\n@call g {}')];
    expect((await answer({ messages, tools })).tool_calls).toMatchObject([
      { function: { name: 'f', arguments: '{"a":1}' } },
    ]);
    expect((await answer({ messages, tools, tool_choice: 'none' })).tool_calls).toBeUndefined();
  });
});

describe('faults', () => {
  it('have names', async () => {
    expect((await ask({ model: 'fault-503', messages: [] })).status).toBe(503);
    await expect(ask({ model: 'fault-disconnect', stream: true, messages: [] })).rejects.toThrow();
    expect((await ask({ model: 'fault-garbage', messages: [] })).headers.get('content-type')).toBe(
      'text/html',
    );
    expect((await ask({ model: 'fault-cut', stream: true, messages: [] })).text).not.toContain('[DONE]');
  });

  it('carry retry-after', async () => {
    fake.script('m', { fault: { kind: 'status', status: 429, retry_after: 7 } });
    expect((await ask({ messages: [] })).headers.get('retry-after')).toBe('7');
  });

  it('include a wrong key and an unknown path', async () => {
    const locked = await new ModelEndpoint({ key: 'k' }).start();
    expect((await ask({ messages: [] }, locked.url)).status).toBe(401);
    await locked.stop();
    expect((await fetch(`${fake.url}/embeddings`, { method: 'POST' })).status).toBe(404);
    expect(await (await fetch(`${fake.url}/models`)).json()).toMatchObject({
      data: [{ id: 'rules' }, { id: 'm' }],
    });
  });
});
