/** n8n's own OpenAI nodes, pointed at our server. */
import { describe, expect, it } from 'vitest';
import { MODEL } from './support/names.js';
import { byId, useBench } from './support/nodes.js';
import { chain, connect, MANUAL, node, withItems } from './support/workflow.js';

const { n8n, api, files, serverUrl, script, run } = useBench();

const openAi = async () => ({
  openAiApi: {
    id: await n8n.addCredential('Code Interpreter as OpenAI', 'openAiApi', {
      apiKey: api.key,
      url: serverUrl,
    }),
    name: 'Code Interpreter as OpenAI',
  },
});
const python = (code: string) => ({ name: 'python', arguments: { code } });

interface Annotation {
  readonly type: string;
  readonly file_id: string;
  readonly filename: string;
}

describe('the OpenAI node', () => {
  it('sends a message with the code interpreter on, and the files it made can be had', async () => {
    await script(
      { calls: [python('open("total.csv", "w").write("sum,42")\nprint(42)')] },
      { text: 'The sum is 42: [total.csv](sandbox:/mnt/data/total.csv)' },
    );
    const message = node(
      'Ask',
      '@n8n/n8n-nodes-langchain.openAi',
      {
        resource: 'text',
        operation: 'response',
        modelId: byId(MODEL),
        responses: { values: [{ type: 'text', role: 'user', content: 'Sum it up.' }] },
        simplify: false,
        builtInTools: { codeInterpreter: true },
        options: { include: ['code_interpreter_call.outputs'] },
      },
      { typeVersion: 2.3, credentials: await openAi() },
    );
    const id = "={{ $json.output.find(o => o.type === 'message').content[0].annotations[0].file_id }}";
    const result = await run(
      [{ json: {} }],
      message,
      files('Download', { operation: 'download', fileId: byId(id), outputField: 'data' }),
    );
    const output = result.json<{
      output: readonly { type: string; content?: { annotations: Annotation[] }[] }[];
    }>('Ask');
    expect(output.output.map(({ type }) => type)).toEqual(['code_interpreter_call', 'message']);
    expect(output.output[0]).toMatchObject({ outputs: [{ type: 'logs', logs: '42\n' }] });
    expect(output.output[1]?.content?.[0]?.annotations).toMatchObject([
      { type: 'container_file_citation', filename: 'total.csv' },
    ]);
    const [file] = result.items('Download');
    expect((await result.file(file!, 'data')).toString()).toBe('sum,42');
  });

  it('uploads, lists and deletes files', async () => {
    const settings = { typeVersion: 2.3, credentials: await openAi() };
    const result = await run(
      [{ json: {}, binary: { data: { data: 'YQ==', mimeType: 'text/plain', fileName: 'a.txt' } } }],
      node(
        'Upload',
        '@n8n/n8n-nodes-langchain.openAi',
        {
          resource: 'file',
          operation: 'upload',
          binaryPropertyName: 'data',
          options: { purpose: 'user_data' },
        },
        settings,
      ),
      node(
        'Delete',
        '@n8n/n8n-nodes-langchain.openAi',
        { resource: 'file', operation: 'deleteFile', fileId: byId('={{ $json.id }}') },
        settings,
      ),
    );
    expect(result.json('Upload')).toMatchObject({ object: 'file', filename: 'a.txt' });
    expect(result.json('Delete')).toMatchObject({ deleted: true });
  });
});

describe('the OpenAI Chat Model', () => {
  it('gives an agent the code interpreter of the server', async () => {
    await script({ calls: [python('print(6 * 7)')] }, { text: 'It is 42.' });
    const chat = node(
      'Model',
      '@n8n/n8n-nodes-langchain.lmChatOpenAi',
      {
        model: byId(MODEL),
        responsesApiEnabled: true,
        builtInTools: { codeInterpreter: true },
        options: {},
      },
      { typeVersion: 1.3, credentials: await openAi() },
    );
    const agent = node(
      'Agent',
      '@n8n/n8n-nodes-langchain.agent',
      { promptType: 'define', text: 'Six times seven?', options: { enableStreaming: false } },
      { typeVersion: 3.1 },
    );
    const main = chain(node('Start', MANUAL), agent);
    connect(main.connections, 'Model', 'Agent', 'ai_languageModel');
    const result = await n8n.run(withItems({ ...main, nodes: [...main.nodes, chat] }, [{ json: {} }]));
    expect(result.json('Agent')).toMatchObject({ output: 'It is 42.' });
  });

  it('lists the models of the server', async () => {
    const { results } = await n8n.ok<{ results: { value: string }[] }>(
      'POST',
      '/rest/dynamic-node-parameters/resource-locator-results',
      {
        path: 'parameters.model',
        nodeTypeAndVersion: { name: '@n8n/n8n-nodes-langchain.lmChatOpenAi', version: 1.3 },
        methodName: 'searchModels',
        currentNodeParameters: {},
        credentials: await openAi(),
      },
    );
    expect(results.map(({ value }) => value)).toEqual(expect.arrayContaining([MODEL, 'python']));
  });
});
