/** What n8n made of the package: nodes, their faces, their credential, and the lists that they offer. */
import { beforeAll, describe, expect, it } from 'vitest';
import { useBench } from './support/nodes.js';
import { MODEL } from './support/names.js';
import { PACKAGE } from './support/workflow.js';

const { n8n, api, credentials, serverUrl } = useBench();

interface NodeType {
  readonly name: string;
  readonly displayName: string;
  readonly iconUrl?: { readonly light: string; readonly dark: string };
  readonly codex?: { readonly alias?: readonly string[]; readonly categories?: readonly string[] };
  readonly outputs: unknown;
}

/** What people type who have data and want an answer. */
const ASKED = [
  ...[
    'analyse',
    'analyze',
    'analysis',
    'chart',
    'clean data',
    'code interpreter',
    'csv',
    'dataframe',
    'diagram',
  ],
  ...[
    'excel',
    'forecast',
    'graph',
    'pandas',
    'plot',
    'python',
    'report',
    'run python',
    'spreadsheet',
    'statistics',
  ],
  ...['workbook', 'xlsx'],
];
/** Nodes that answer nothing by themselves are found by what they do, and do not come before those that do. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  files: ['upload', 'download', 'share file'],
  codeInterpreterTrigger: ['webhook', 'callback'],
};

let types: readonly NodeType[] = [];
const ours = (name: string): NodeType => {
  const found = types.find((each) => each.name === `${PACKAGE}.${name}`);
  if (!found) throw new Error(`n8n knows no ${name}`);
  return found;
};

beforeAll(async () => {
  types = (await (await n8n.request('GET', '/types/nodes.json')).json()) as NodeType[];
});

describe('the nodes', () => {
  it('are known under their names, the actions also as tools', () => {
    expect(
      types
        .map(({ name }) => name)
        .filter((name) => name.startsWith(PACKAGE))
        .map((name) => name.slice(PACKAGE.length + 1))
        .toSorted(),
    ).toEqual([
      'codeInterpreterTool',
      'codeInterpreterTrigger',
      'containers',
      'containersTool',
      'files',
      'filesTool',
      'responses',
      'responsesTool',
    ]);
  });

  it.each(['containers', 'responses', 'codeInterpreterTool', 'files', 'codeInterpreterTrigger'])(
    '%s have an icon for light and for dark, and are found by what people search for',
    async (name) => {
      const { iconUrl, codex } = ours(name);
      for (const url of [iconUrl?.light, iconUrl?.dark]) {
        const reply = await n8n.request('GET', `/${url}`);
        expect(reply.headers.get('content-type')).toMatch(/^image\/svg\+xml/);
        expect(await reply.text()).toMatch(/<svg/);
      }
      expect(iconUrl?.light).not.toBe(iconUrl?.dark);
      expect(codex?.alias?.map((each) => each.toLowerCase())).toEqual(
        expect.arrayContaining([...(WORDS[name] ?? ASKED)]),
      );
    },
  );
});

describe('the credential', () => {
  const test = (data: Readonly<Record<string, unknown>>) =>
    n8n.ok<{ status: string; message: string }>('POST', '/rest/credentials/test', {
      credentials: { ...credentials.codeInterpreterApi, type: 'codeInterpreterApi', data },
    });

  it.each(['', '/', '  '])('is accepted with a base URL that ends with %j', async (end) => {
    expect(await test({ baseUrl: `${serverUrl}${end}`, apiKey: api.key })).toMatchObject({ status: 'OK' });
  });

  it('is refused with a wrong key, and where nobody listens', async () => {
    expect(await test({ baseUrl: serverUrl, apiKey: 'sk-wrong' })).toMatchObject({ status: 'Error' });
    expect(await test({ baseUrl: 'http://127.0.0.1:1/v1', apiKey: api.key })).toMatchObject({
      status: 'Error',
    });
  });
});

describe('the lists', () => {
  const search = async (node: string, methodName: string, filter?: string): Promise<readonly string[]> => {
    const { results } = await n8n.ok<{ results: { name: string; value: string }[] }>(
      'POST',
      '/rest/dynamic-node-parameters/resource-locator-results',
      {
        path: 'parameters.x',
        nodeTypeAndVersion: { name: `${PACKAGE}.${node}`, version: 1 },
        methodName,
        currentNodeParameters: {},
        credentials,
        ...(filter === undefined ? {} : { filter }),
      },
    );
    return results.map(({ name }) => name);
  };

  it('hold models, containers and files of the server', async () => {
    expect(await search('responses', 'getModels')).toEqual(
      expect.arrayContaining([MODEL, expect.stringMatching(/^python \(/)]),
    );
    const id = await api.newContainer({ name: 'listed container' });
    await api.upload('listed.csv', 'a');
    expect(await search('containers', 'getContainers', 'LISTED')).toEqual([
      expect.stringMatching(/^listed container, .+ \(/),
    ]);
    expect(await search('files', 'getFiles', 'listed.c')).toEqual([
      expect.stringMatching(/^listed\.csv, .+ \(/),
    ]);
    await api.delete(`/containers/${id}`);
  });
});
