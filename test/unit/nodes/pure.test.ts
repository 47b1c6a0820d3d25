import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { codeOf, MAX_SHOWN, shortened } from '../../../nodes/CodeInterpreterTool/tool.js';
import { isGenuine, sign } from '../../../nodes/CodeInterpreterTrigger/signature.js';
import { inPieces, matchesPattern, parseInputFiles, propertyName } from '../../../nodes/shared/binary.js';
import { describeApiError, describeConnectionError } from '../../../nodes/shared/errors.js';
import { mimeTypeOf } from '../../../nodes/shared/mime.js';
import { citedFiles, outputText, simplified } from '../../../nodes/shared/responseData.js';
import { rowsOf } from '../../../nodes/shared/runCode.js';
import { sessionKey } from '../../../nodes/shared/session.js';

const ROOT = join(import.meta.dirname, '../../..');

describe('mime types', () => {
  it('come from the name, exactly as n8n previews them', () => {
    expect(mimeTypeOf('chart.PNG')).toBe('image/png');
    expect(mimeTypeOf('table.csv', 'text/csv; charset=utf-8')).toBe('text/csv');
    expect(mimeTypeOf('notebook.ipynb')).toBe('application/json');
  });

  it('fall back to the header without its parameters, then to bytes', () => {
    expect(mimeTypeOf('x.unknown', 'Text/Plain; charset=utf-8')).toBe('text/plain');
    expect(mimeTypeOf('x', undefined)).toBe('application/octet-stream');
    expect(mimeTypeOf('.png')).toBe('application/octet-stream');
  });
});

describe('pieces', () => {
  async function* chunks(...sizes: number[]): AsyncGenerator<Uint8Array> {
    let next = 0;
    for (const size of sizes) yield Uint8Array.from({ length: size }, () => next++ % 256);
  }

  it.each([[[3, 3, 3]], [[10]], [[1, 9, 1]], [[4, 4]], [[]], [[0, 5]]])(
    'of %j are cut anew',
    async (sizes) => {
      const pieces: Uint8Array[] = [];
      for await (const piece of inPieces(chunks(...sizes), 4)) pieces.push(piece);
      const total = sizes.reduce((sum, size) => sum + size, 0);
      expect(pieces.map(({ length }) => length)).toEqual(
        Array.from({ length: Math.ceil(total / 4) }, (_, index) => Math.min(4, total - index * 4)),
      );
      expect(Buffer.concat(pieces)).toEqual(
        Buffer.from(Array.from({ length: total }, (_, index) => index % 256)),
      );
    },
  );
});

describe('input files', () => {
  it('are binary fields, IDs, or all fields', () => {
    expect(parseInputFiles(' data, file-abc ,cfile_0f,data', { a: {}, b: {} })).toEqual({
      properties: ['data'],
      fileIds: ['file-abc', 'cfile_0f'],
    });
    expect(parseInputFiles('*', { a: {}, b: {} }).properties).toEqual(['a', 'b']);
    expect(parseInputFiles('', undefined)).toEqual({ properties: [], fileIds: [] });
  });
});

describe('file patterns', () => {
  it('know stars, question marks and several patterns, and nothing of regular expressions', () => {
    expect(matchesPattern('Report.XLSX', '*.csv, *.xlsx')).toBe(true);
    expect(matchesPattern('a1.csv', 'a?.csv')).toBe(true);
    expect(matchesPattern('abc.csv', 'a.c.csv')).toBe(false);
    expect(matchesPattern('(x)[1]+.txt', '(x)[1]+.txt')).toBe(true);
    expect(matchesPattern('x', '')).toBe(false);
  });

  it('and names of binary fields count up', () => {
    expect([0, 1, 2].map((index) => propertyName('data', index))).toEqual(['data', 'data_1', 'data_2']);
  });
});

describe('session keys', () => {
  const at = { instanceId: 'i', workflowId: 'w', executionId: '7', chatSessionId: 'c', customKey: 'k' };

  it('are different for every scope, workflow and instance', () => {
    const scopes = ['execution', 'workflow', 'chat', 'custom'] as const;
    const keys = scopes.flatMap((scope) => [
      sessionKey(scope, at),
      sessionKey(scope, { ...at, instanceId: 'j' }),
    ]);
    expect(new Set(keys).size).toBe(8);
    expect(sessionKey('chat', { ...at, workflowId: 'v' })).not.toBe(sessionKey('chat', at));
    expect(sessionKey('custom', { ...at, workflowId: 'v' })).toBe(sessionKey('custom', at));
  });

  it('stay within what the server takes, and apart', () => {
    const long = (end: string) => sessionKey('custom', { ...at, customKey: 'x'.repeat(400) + end });
    expect(long('a')).toHaveLength(256);
    expect(long('a')).not.toBe(long('b'));
  });
});

describe('signatures', () => {
  const secret = `whsec_${Buffer.from('a secret of some length').toString('base64')}`;
  const body = Buffer.from('{"type":"response.completed"}');
  const unsigned = { id: 'msg_1', timestamp: '1700000000', body };
  const delivery = { ...unsigned, signature: `v1,${sign(secret, unsigned)}` };
  const now = 1_700_000_010;

  it('fit the body, the time and the ID they were made for', () => {
    expect(isGenuine(secret, delivery, now)).toBe(true);
    expect(isGenuine(secret, { ...delivery, signature: `v1,AAAA ${delivery.signature}` }, now)).toBe(true);
    expect(isGenuine(secret, { ...delivery, body: Buffer.from('{}') }, now)).toBe(false);
    expect(isGenuine(secret, { ...delivery, id: 'msg_2' }, now)).toBe(false);
    expect(isGenuine('whsec_AAAA', delivery, now)).toBe(false);
    expect(isGenuine(secret, { ...delivery, signature: '' }, now)).toBe(false);
    expect(isGenuine(secret, delivery, now + 301)).toBe(false);
    expect(isGenuine(secret, { ...delivery, timestamp: 'soon' }, now)).toBe(false);
  });

  it('are those of the published example of the scheme', () => {
    expect(
      sign('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', {
        id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
        timestamp: '1614265330',
        body: Buffer.from('{"test": 2432232314}'),
      }),
    ).toBe('g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
  });
});

describe('messages', () => {
  it('say what the server said, and what to do', () => {
    const said = describeApiError(401, { error: { message: 'Incorrect API key.', code: 'invalid_api_key' } });
    expect(said).toEqual({
      message: 'Incorrect API key',
      description: 'Check the API key in the Code Interpreter API credential.',
      httpCode: '401',
    });
    expect(describeApiError(404, '<html>').message).toContain('not as a Code Interpreter server');
  });

  it('tell a server that is down from one that is slow and from a stopped execution', () => {
    const at = 'http://x';
    expect(describeConnectionError({ code: 'ECONNREFUSED' }, at).description).toContain('Start the server');
    // n8n up to 2.20 wraps it.
    const wrapped = Object.assign(new Error('The service refused the connection'), {
      httpCode: 'ECONNREFUSED',
    });
    expect(describeConnectionError(wrapped, at).description).toContain('Start the server');
    expect(describeConnectionError(new Error('timeout of 5ms exceeded'), at).description).toContain(
      'Timeout',
    );
    expect(describeConnectionError(new Error('canceled'), at).message).toBe('The run was cancelled');
  });
});

describe('returned values', () => {
  it('become items', () => {
    expect(rowsOf([{ a: 1 }, 2, { json: { b: 3 }, pairedItem: 0 }])).toEqual([
      { a: 1 },
      { value: 2 },
      { b: 3 },
    ]);
    expect(rowsOf({ json: { a: 1 }, other: 2 })).toEqual([{ json: { a: 1 }, other: 2 }]);
    expect(rowsOf(null)).toEqual([{ value: null }]);
    expect(rowsOf([])).toEqual([]);
  });
});

describe('responses', () => {
  const cite = (file_id: string, filename: string) => ({
    type: 'container_file_citation',
    container_id: 'cntr_1',
    file_id,
    filename,
  });
  const response = {
    id: 'resp_1',
    status: 'completed',
    model: 'm',
    created_at: 1,
    error: null,
    incomplete_details: null,
    text: { format: { type: 'json_schema' } },
    output: [
      {
        id: 'ci_1',
        type: 'code_interpreter_call',
        status: 'completed',
        code: '1+1',
        container_id: 'cntr_1',
        outputs: [
          { type: 'logs', logs: '2' },
          { type: 'image', url: 'data:x' },
        ],
      },
      {
        id: 'msg_1',
        type: 'message',
        content: [{ type: 'output_text', text: '{"a":', annotations: [cite('cfile_1', 'a.csv')] }],
      },
      {
        id: 'msg_2',
        type: 'message',
        content: [
          {
            type: 'output_text',
            text: '1}',
            annotations: [cite('cfile_1', 'a.csv'), cite('cfile_2', 'cfile_00ff.png')],
          },
        ],
      },
    ],
  } as never;

  it('come with text, code, and every file once', () => {
    expect(outputText(response)).toBe('{"a":1}');
    expect(citedFiles(response).map(({ fileName }) => fileName)).toEqual(['a.csv', 'figure-1.png']);
    expect(simplified(response, [])).toMatchObject({
      output_json: { a: 1 },
      container_id: 'cntr_1',
      code_runs: [{ code: '1+1', output: '2', status: 'completed' }],
    });
  });
});

describe('what an agent reads', () => {
  it('is short, and code may come in several forms', () => {
    expect(shortened('x'.repeat(MAX_SHOWN * 3)).length).toBeLessThan(MAX_SHOWN + 100);
    expect(shortened('short')).toBe('short');
    expect(codeOf({ code: '1' })).toBe('1');
    expect(codeOf('```python\nprint(1)\n```')).toBe('print(1)');
    expect(codeOf({})).toBe('');
  });
});

describe('the package', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    n8n: { nodes: string[]; credentials: string[]; strict: boolean };
    dependencies?: object;
  };

  it('registers every node and credential, and needs nothing at run time', () => {
    const sources = readdirSync(join(ROOT, 'nodes'), { recursive: true }).map(String);
    const nodes = sources.filter((path) => path.endsWith('.node.ts'));
    expect(manifest.n8n.nodes.toSorted()).toEqual(
      nodes.map((path) => `dist/nodes/${path.replace(/\.ts$/, '.js')}`).toSorted(),
    );
    expect(manifest.n8n.strict).toBe(true);
    expect(manifest.dependencies).toBeUndefined();
  });
});
