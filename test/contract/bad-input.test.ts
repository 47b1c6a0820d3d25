/** What cannot be is refused by the documented error, everywhere, and changes nothing. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Json, Page } from '../support/api.js';
import { useProject } from '../support/project.js';

const project = useProject();
const known: Record<string, string> = {};

beforeAll(async () => {
  known['container'] = await project.api.newContainer({ name: 'kept' });
  known['file'] = await project.api.upload('kept.txt', 'kept');
});
afterAll(async () => project.api.delete(`/containers/${known['container']}`));

const NUL = 'a\u0000b';
/** Half of an emoji: legal in JSON, no Unicode text. */
const HALF = 'a\ud83db';
const LONG = 'x'.repeat(10_000);
const HUGE = 2 ** 60;
const UPLOAD = { bytes: 1, filename: 'a', mime_type: 'a/b', purpose: 'user_data' };
const EXPIRES = { anchor: 'last_active_at', minutes: 5 };

/** Endpoint, a body that works, and what breaks it: field (with a path), value, code, param. */
type Case = readonly [change: Json, code: string | null, param: string | null];
interface Table {
  readonly path: string;
  readonly body: Json;
  readonly cases: readonly Case[];
}

const tables: readonly Table[] = [
  {
    path: '/containers',
    body: { name: 'made' },
    cases: [
      [{ name: undefined }, 'missing_required_parameter', 'name'],
      [{ name: null }, 'invalid_type', 'name'],
      [{ name: 5 }, 'invalid_type', 'name'],
      [{ name: '' }, 'string_below_min_length', 'name'],
      [{ name: LONG }, 'string_above_max_length', 'name'],
      [{ name: NUL }, 'invalid_value', 'name'],
      [{ name: HALF }, 'invalid_value', 'name'],
      [{ name: ['x'] }, 'invalid_type', 'name'],
      [{ foo: 1 }, 'unknown_parameter', 'foo'],
      [{ __proto__x: 1 }, 'unknown_parameter', '__proto__x'],
      [{ memory_limit: '2g' }, 'invalid_value', 'memory_limit'],
      [{ memory_limit: 4 }, 'invalid_value', 'memory_limit'],
      [{ expires_after: 5 }, 'invalid_type', 'expires_after'],
      [{ expires_after: {} }, 'missing_required_parameter', 'expires_after.anchor'],
      [{ expires_after: { anchor: 'created_at', minutes: 5 } }, 'invalid_value', 'expires_after.anchor'],
      [
        { expires_after: { anchor: 'last_active_at' } },
        'missing_required_parameter',
        'expires_after.minutes',
      ],
      [{ expires_after: { ...EXPIRES, minutes: '5' } }, 'invalid_type', 'expires_after.minutes'],
      [{ expires_after: { ...EXPIRES, minutes: 5.5 } }, 'invalid_type', 'expires_after.minutes'],
      [{ expires_after: { ...EXPIRES, minutes: -1 } }, 'integer_below_min_value', 'expires_after.minutes'],
      [{ expires_after: { ...EXPIRES, minutes: HUGE } }, 'integer_above_max_value', 'expires_after.minutes'],
      [{ expires_after: { ...EXPIRES, foo: 1 } }, 'unknown_parameter', 'expires_after.foo'],
      [{ file_ids: 'file-x' }, 'invalid_type', 'file_ids'],
      [{ file_ids: [5] }, 'invalid_type', 'file_ids[0]'],
      [{ file_ids: [LONG] }, 'string_above_max_length', 'file_ids[0]'],
      [{ file_ids: [NUL] }, 'invalid_value', 'file_ids[0]'],
      [{ file_ids: Array.from({ length: 51 }, () => 'file-x') }, 'array_above_max_length', 'file_ids'],
      [{ network_policy: { type: 'open' } }, 'invalid_value', 'network_policy.type'],
      [
        { network_policy: { type: 'allowlist', allowed_domains: ['a.b'] } },
        'unsupported_value',
        'network_policy.type',
      ],
      [{ skills: [{ type: 'skill_reference', skill_id: 's' }] }, 'unsupported_parameter', 'skills'],
    ],
  },
  {
    path: '/uploads',
    body: UPLOAD,
    cases: [
      [{ bytes: null }, 'invalid_type', 'bytes'],
      [{ bytes: 1.5 }, 'invalid_type', 'bytes'],
      [{ bytes: HUGE }, 'integer_above_max_value', 'bytes'],
      [{ filename: null }, 'invalid_type', 'filename'],
      [{ filename: NUL }, 'invalid_value', 'filename'],
      [{ purpose: 'bogus' }, null, 'purpose'],
      [{ purpose: 5 }, 'invalid_type', 'purpose'],
      [{ mime_type: 5 }, 'invalid_type', 'mime_type'],
      [{ mime_type: LONG }, 'string_above_max_length', 'mime_type'],
      [
        { expires_after: { anchor: 'created_at', seconds: 1 } },
        'integer_below_min_value',
        'expires_after.seconds',
      ],
      [{ foo: 1 }, 'unknown_parameter', 'foo'],
    ],
  },
  {
    path: '/containers/:container/executions',
    body: { code: '1' },
    cases: [
      [{ code: undefined }, 'missing_required_parameter', 'code'],
      [{ code: null }, 'invalid_type', 'code'],
      [{ code: 5 }, 'invalid_type', 'code'],
      [{ code: '' }, 'string_below_min_length', 'code'],
      [{ code: NUL }, 'invalid_value', 'code'],
      [{ code: HALF }, 'invalid_value', 'code'],
      [{ code: 'x'.repeat(10_485_761) }, 'string_above_max_length', 'code'],
      [{ stream: 'yes' }, 'invalid_type', 'stream'],
      [{ timeout_ms: HUGE }, 'integer_above_max_value', 'timeout_ms'],
      [{ foo: 1 }, 'unknown_parameter', 'foo'],
    ],
  },
  {
    path: '/containers/:container/files',
    body: { file_id: 'file-x' },
    cases: [
      [{ file_id: undefined }, 'missing_required_parameter', 'file_id'],
      [{ file_id: 5 }, 'invalid_type', 'file_id'],
      [{ file_id: '' }, 'string_below_min_length', 'file_id'],
      [{ file_id: LONG }, 'string_above_max_length', 'file_id'],
      [{ file_id: NUL }, 'invalid_value', 'file_id'],
      [{ foo: 1 }, 'unknown_parameter', 'foo'],
    ],
  },
  {
    path: '/responses',
    body: {
      model: 'python',
      input: 'print(1)',
      tools: [{ type: 'code_interpreter', container: { type: 'auto' } }],
    },
    cases: [
      [{ input: NUL }, 'invalid_value', 'input'],
      [{ input: HALF }, 'invalid_value', 'input'],
      [{ metadata: { [HALF]: 'v' } }, 'invalid_value', 'metadata'],
      [
        { tools: [{ type: 'function', name: 'f', parameters: { title: HALF } }] },
        'invalid_value',
        'tools[0].parameters.title',
      ],
      [{ instructions: NUL }, 'invalid_value', 'instructions'],
      [{ metadata: { k: NUL } }, 'invalid_value', 'metadata.k'],
      [{ metadata: 'x' }, 'invalid_type', 'metadata'],
      [
        { metadata: { ['k'.repeat(65)]: 'v' } },
        expect.any(String) as never,
        expect.stringMatching(/^metadata/) as never,
      ],
      [{ previous_response_id: 5 }, 'invalid_type', 'previous_response_id'],
      [{ previous_response_id: NUL }, 'invalid_value', 'previous_response_id'],
      [{ previous_response_id: 'resp_y' }, 'previous_response_not_found', 'previous_response_id'],
      [{ tools: {} }, 'invalid_type', 'tools'],
      [{ tools: [null] }, 'invalid_type', 'tools[0]'],
      [{ tools: [{}] }, 'missing_required_parameter', 'tools[0].type'],
      [{ max_output_tokens: HUGE * 8 }, expect.any(String) as never, 'max_output_tokens'],
      [{ top_logprobs: 21 }, 'integer_above_max_value', 'top_logprobs'],
      [{ safety_identifier: LONG }, 'string_above_max_length', 'safety_identifier'],
      [
        { text: { format: { type: 'json_schema', name: 'a b', schema: {} } } },
        expect.any(String) as never,
        'text.format.name',
      ],
      [{ reasoning: { effort: 'huge' } }, 'invalid_value', 'reasoning.effort'],
    ],
  },
];

const short = (change: Json) => {
  const text = JSON.stringify(change, (_, value: unknown) => (value === undefined ? '(absent)' : value));
  return text.length > 70 ? `${text.slice(0, 67)}...` : text;
};

describe.each(tables)('POST $path', ({ path, body, cases }) => {
  const url = () => path.replace(':container', known['container']!);
  const lists = async () => {
    const all = [
      '/containers',
      '/files',
      `/containers/${known['container']}/files`,
      `/containers/${known['container']}/executions`,
    ];
    const pages = await Promise.all(
      all.map((each) => project.api.ok<Page<{ id: string }>>('GET', `${each}?limit=100`)),
    );
    return pages.map(({ data }) => data.map(({ id }) => id));
  };

  it.each(cases.map(([change, code, param]) => [short(change), change, code, param] as const))(
    'refuses %s',
    async (_, change, code, param) => {
      const before = await lists();
      const error = await project.api.refused(400, 'POST', url(), { ...body, ...change });
      expect(error).toMatchObject({ code, param, type: 'invalid_request_error' });
      expect(error.message.length).toBeLessThan(1_000);
      expect(await lists()).toEqual(before);
    },
  );
});

describe('ids that cannot be', () => {
  const ids = ['x', '..', '%2e%2e%2f', '%00', 'cntr_%27%3B--', 'x'.repeat(500), '%F0%9F%98%80', '*', '0'];
  const paths = [
    '/files/ID',
    '/files/ID/content',
    '/containers/ID',
    '/containers/ID/files',
    '/containers/ID/executions',
    '/responses/ID',
    '/responses/ID/input_items',
    '/models/ID',
  ];

  it.each(ids)('%j is not found', async (id) => {
    for (const path of paths) {
      const reply = await project.api.get<{ error: Json }>(path.replace('ID', id));
      // Clients fold `..` into the path themselves.
      expect(id === '..' ? [200, 404] : [400, 404]).toContain(reply.status);
      if (reply.status !== 200)
        expect(Object.keys(reply.body.error).sort()).toEqual(['code', 'message', 'param', 'type']);
    }
  });

  it('nor in the second place', async () => {
    for (const id of ids.filter((each) => each !== '..')) {
      for (const path of ['files', 'executions']) {
        const reply = await project.api.get(`/containers/${known['container']}/${path}/${id}`);
        expect([400, 404]).toContain(reply.status);
      }
    }
  });
});

describe('queries that cannot be', () => {
  it.each(['/containers', '/containers/:container/files', '/containers/:container/executions'])(
    'GET %s',
    async (path) => {
      const url = path.replace(':container', known['container']!);
      for (const [query, code] of [
        ['limit=0', 'integer_below_min_value'],
        ['limit=101', 'integer_above_max_value'],
        ['limit=x', 'invalid_type'],
        ['limit=1.5', 'invalid_type'],
        ['limit=99999999999999999999', 'integer_above_max_value'],
        ['limit=1&limit=2', 'invalid_type'],
        ['order=sideways', 'invalid_value'],
      ] as const) {
        expect([query, await project.api.refused(400, 'GET', `${url}?${query}`)]).toMatchObject([
          query,
          { code, param: query.split('=')[0] },
        ]);
      }
      for (const after of ['x', 'x'.repeat(3_000)]) {
        expect(await project.api.refused(404, 'GET', `${url}?after=${after}`)).toMatchObject({
          param: 'after',
        });
      }
    },
  );
});

describe('multipart that cannot be', () => {
  const send = (path: string, body: string, type = 'multipart/form-data; boundary=b') =>
    project.api.request<{ error: Json }>('POST', path, body, { headers: { 'content-type': type } });
  const part = (name: string, value: string, more = '') =>
    `--b\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
  const file = part('file', 'x', '; filename="x.txt"');
  const purpose = part('purpose', 'user_data');

  it.each([
    ['no purpose', `${file}--b--\r\n`, 'missing_required_parameter', 'purpose'],
    ['no file', `${purpose}--b--\r\n`, 'missing_required_parameter', 'file'],
    ['a text for a file', `${purpose}${part('file', 'x')}--b--\r\n`, 'invalid_type', 'file'],
    ['two files', `${purpose}${file}${file}--b--\r\n`, 'invalid_value', 'file'],
    ['two purposes', `${purpose}${purpose}${file}--b--\r\n`, 'invalid_value', 'purpose'],
    ['an unknown part', `${purpose}${file}${part('foo', '1')}--b--\r\n`, 'unknown_parameter', 'foo'],
    ['a dangerous name', `${purpose}${file}${part('__proto__[x]', '1')}--b--\r\n`, null, null],
    [
      'half an expiry',
      `${purpose}${file}${part('expires_after[seconds]', '3600')}--b--\r\n`,
      'missing_required_parameter',
      'expires_after.anchor',
    ],
    ['an end that never comes', `${purpose}${file}`, 'invalid_upload', null],
    ['nothing', '', null, null],
  ])('POST /files refuses %s', async (_, body, code, param) => {
    const reply = await send('/files', body);
    expect(reply.status).toBe(400);
    if (code !== null) expect(reply.body.error).toMatchObject({ code, param });
    expect((await project.api.ok<Page<{ id: string }>>('GET', '/files')).data.map(({ id }) => id)).toEqual([
      known['file'],
    ]);
  });

  it('POST /files wants a multipart body with a boundary', async () => {
    expect((await send('/files', '{}', 'application/json')).status).toBe(415);
    expect((await send('/files', 'x', 'multipart/form-data')).status).toBeGreaterThanOrEqual(400);
    expect((await send('/files', 'x', 'multipart/form-data')).status).toBeLessThan(500);
  });
});
