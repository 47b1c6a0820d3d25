/** The AI Agent of n8n with our tool, and with our action nodes as tools. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { useBench } from './support/nodes.js';
import type { Run } from './support/n8n-client.js';
import {
  chain,
  connect,
  type Item,
  MANUAL,
  node,
  type Node,
  type Workflow,
  withItems,
} from './support/workflow.js';

const { n8n, credentials, modelUrl, scriptFor, asked } = useBench();

/** The newest version of the node there is. */
const AGENT = n8n.version.major === 1 || n8n.version.minor < 20 ? 3 : 3.1;

const openAi = async () => ({
  openAiApi: {
    id: await n8n.addCredential('model endpoint', 'openAiApi', { apiKey: 'sk-any', url: modelUrl }),
    name: 'model endpoint',
  },
});

/** Trigger → AI Agent with a model that plays scripts, and this tool. */
async function agentWith(model: string, tool: Node, item: Item): Promise<Workflow> {
  const agent = node(
    'Agent',
    '@n8n/n8n-nodes-langchain.agent',
    { promptType: 'define', text: '={{ $json.chatInput }}', options: { enableStreaming: false } },
    { typeVersion: AGENT },
  );
  const chat = node(
    'Model',
    '@n8n/n8n-nodes-langchain.lmChatOpenAi',
    { model: { __rl: true, mode: 'id', value: model }, responsesApiEnabled: false, options: {} },
    { typeVersion: 1.3, credentials: await openAi() },
  );
  const main = chain(node('Start', MANUAL), agent);
  connect(main.connections, 'Model', 'Agent', 'ai_languageModel');
  connect(main.connections, tool.name, 'Agent', 'ai_tool');
  return withItems({ ...main, nodes: [...main.nodes, chat, tool] }, [item]);
}

const runPython = (code: string) => ({ calls: [{ name: 'run_python', arguments: { code } }] });

describe('Code Interpreter Tool', () => {
  const tool = (parameters: Readonly<Record<string, unknown>> = { options: {} }): Node =>
    node('Python', 'codeInterpreterTool', parameters, { credentials });

  it('lets an agent compute, see its mistakes, and go on in the next message of the chat', async () => {
    const model = `agent-${randomUUID()}`;
    const message = { json: { sessionId: randomUUID(), chatInput: 'Six times seven?' } };
    const { id } = await n8n.save(await agentWith(model, tool(), message));
    const ask = async (): Promise<Run> => await n8n.ended(await n8n.startSaved(id, 'Start'));
    await scriptFor(
      model,
      runPython('1 / 0'),
      runPython('kept = 6 * 7\nprint(kept)\nopen("answer.txt", "w").write(str(kept))'),
      { text: 'It is 42.' },
    );
    expect((await ask()).json('Agent')).toMatchObject({ output: 'It is 42.' });
    const [seen] = (await asked(model)).slice(-1);
    const results = seen!.messages
      .filter(({ role }) => role === 'tool')
      .map(({ content }) => String(content));
    expect(results[0]).toMatch(/ZeroDivisionError: division by zero/);
    expect(results[1]).toMatch(/42/);
    expect(results[1]).toMatch(/answer\.txt/);
    // The user of the chat gets a link that opens without a key.
    const link = /"url":"(http[^"]+)"/.exec(results[1]!)?.[1];
    expect(await (await fetch(link!)).text()).toBe('42');

    await scriptFor(model, runPython('print(kept + 1)'), { text: 'And 43.' });
    expect((await ask()).json('Agent')).toMatchObject({ output: 'And 43.' });
    expect(String((await asked(model)).at(-1)!.messages.at(-1)?.content)).toMatch(/"stdout":"43\\n"/);
  });

  it('leaves the variables of the agent as they are, whatever they are called', async () => {
    const model = `agent-${randomUUID()}`;
    const message = { json: { sessionId: randomUUID(), chatInput: 'Go on.' } };
    await scriptFor(
      model,
      runPython(
        'import pandas as pd\ndf = pd.DataFrame({"a": [1, 2, 3]})\nresult = 6\nfiles = ["x"]\nitems = item = "mine"',
      ),
      runPython('print(len(df), int(df.a.sum()), result, files, items, item)'),
      { text: 'Done.' },
    );
    await n8n.run(await agentWith(model, tool(), message));
    const last = (await asked(model)).at(-1)!.messages.at(-1);
    expect(JSON.parse(String(last?.content))).toMatchObject([{ stdout: "3 6 6 ['x'] mine mine\n" }]);
  });

  it('offers the model one function with a schema', async () => {
    const model = `agent-${randomUUID()}`;
    await scriptFor(model, { text: 'Hello.' });
    const message = { json: { sessionId: 's', chatInput: 'Hi' } };
    await n8n.run(await agentWith(model, tool({ options: { description: 'Computes.' } }), message));
    const [request] = await asked(model);
    expect(request?.tools).toMatchObject([
      {
        type: 'function',
        function: {
          name: 'run_python',
          description: 'Computes.',
          parameters: { type: 'object', required: ['code'], properties: { code: { type: 'string' } } },
        },
      },
    ]);
  });
});

describe('an action node as a tool', () => {
  it('runs code that the model fills in', async () => {
    const model = `agent-${randomUUID()}`;
    const tool = node(
      'Run Python',
      'containersTool',
      {
        resource: 'code',
        operation: 'runCode',
        code: "={{ $fromAI('code', 'Python to run', 'string') }}",
        container: 'new',
      },
      { credentials },
    );
    await scriptFor(
      model,
      { calls: [{ name: 'Run_Python', arguments: { code: 'print(40 + 2)' } }] },
      { text: 'Done.' },
    );
    const run = await n8n.run(await agentWith(model, tool, { json: { chatInput: 'Compute' } }));
    expect(run.json('Agent')).toMatchObject({ output: 'Done.' });
    const last = (await asked(model)).at(-1)!.messages.at(-1);
    expect(String(last?.content)).toMatch(/42/);
  });
});
