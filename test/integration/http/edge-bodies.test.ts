/** Bodies that are large, deep, broken or many, while another tenant's small requests are measured. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, type WireError } from '../../support/api.js';
import { besides, metric, type Waits } from '../../support/bystander.js';
import { newProject, showLogOnFailure } from '../../support/project.js';
import { startServer, type TestServer } from '../../support/server.js';

const MIB = 1024 * 1024;
/** Far below what the defects cost (seconds), far above what a busy machine makes of a request. */
const LONGEST_WAIT_MS = 2_000;
/** The same for bodies of 33 MB, of which fifty once cost everybody twelve seconds on an idle machine. */
const LONGEST_WAIT_LARGE_MS = 8_000;
/** What one request may cost at most: milliseconds of the event loop, and megabytes. Printed beside what it did cost. */
const AIM = { lateMs: 50, megabytes: 64 };
/** One key's bodies are read two at a time. */
const MANY_BODIES_MS = 300_000;

let server: TestServer;
let attacker: Api;
let other: Api;
beforeAll(async () => {
  server = await startServer({ fakeSandboxes: true, name: 'bodies', env: { SANDBOX_POOL: '' } });
  attacker = new Api(server.url, await newProject(server, 'attacker'));
  other = new Api(server.url, await newProject(server, 'other'));
});
afterAll(() => server?.stop());
showLogOnFailure(() => server);

const memory = () => metric(server.origin, server.adminKey, 'memory_bytes{kind="resident"}');
const lateness = () => metric(server.origin, server.adminKey, 'event_loop_delay_seconds{quantile="1"}');

/** Runs an attack, and checks that nobody else noticed; what was measured is printed. */
async function unnoticed<T>(name: string, attack: () => Promise<T>, longestMs = LONGEST_WAIT_MS): Promise<T> {
  await lateness();
  const before = await memory();
  const { result, waits } = await besides(other, attack);
  tell(name, waits, await lateness(), (await memory()) - before);
  expect(waits.failed).toBe(0);
  expect(waits.longestMs).toBeLessThan(longestMs);
  return result;
}

function tell(name: string, { count, longestMs }: Waits, late: number, bytes: number): void {
  const numbers = [
    `${count} asked`,
    `longest ${Math.round(longestMs)} ms`,
    `loop ${Math.round(late * 1000)} ms late (aim ${AIM.lateMs})`,
  ];
  process.stderr.write(
    `  ${name}: ${numbers.join(', ')}, memory ${bytes < 0 ? '' : '+'}${Math.round(bytes / MIB)} MB (aim ${AIM.megabytes})\n`,
  );
}

const refusal = async (path: string, body: string): Promise<WireError & { readonly status: number }> => {
  const { status, body: reply } = await attacker.request<{ error: WireError }>('POST', path, body);
  return { ...reply.error, status };
};
const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
const response = (fields: string) => `{"model":"python","input":"print:1",${fields}}`;
const TOOL = '"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]';

describe('JSON', () => {
  it('is refused when it is too deep, wherever it is', async () => {
    const bodies = [
      [
        '/responses',
        response(`"text":{"format":{"type":"json_schema","name":"a","schema":${nested(5_000)}}}`),
      ],
      ['/responses', response(`"tools":[{"type":"function","name":"f","parameters":${nested(200_000)}}]`)],
      ['/containers', `{"name":"\\ud83d\\ude00","b":${'['.repeat(9_000)}${']'.repeat(9_000)}}`],
      ['/conversations', nested(1_000_000)],
    ] as const;
    for (const [path, body] of bodies) {
      expect(await unnoticed(`deep, ${body.length} bytes`, () => refusal(path, body))).toMatchObject({
        status: 400,
        code: null,
        type: 'invalid_request_error',
        message: expect.stringMatching(/nested more than 256 levels/),
      });
    }
  });

  it('may be as deep as schemas are', async () => {
    const schema = `{"type":"object","properties":${nested(200)}}`;
    const body = response(`${TOOL},"text":{"format":{"type":"json_schema","name":"a","schema":${schema}}}`);
    expect((await attacker.post('/responses', body)).status).toBeLessThan(500);
  });

  it('is refused when it has too many keys, items or values', async () => {
    const keys = Array.from({ length: 1_500_000 }, (_, index) => `"k${index}":"v"`).join();
    const items = Array.from({ length: 100_000 }, () => '{"role":"user","content":"x"}').join();
    const parts = Array.from({ length: 60 }, () => `[${'1,'.repeat(999)}1]`).join();
    for (const [name, body, message] of [
      ['1.5 M keys', response(`"metadata":{${keys}}`), /more than 10000 entries/],
      ['100,000 items', `{"model":"python","input":[${items}]}`, /more than 10000 entries/],
      ['60,000 values', response(`"metadata":[${parts}]`), /more than 50000 values/],
    ] as const) {
      const error = await unnoticed(name, () => refusal('/responses', body));
      expect(error).toMatchObject({ status: 400, message: expect.stringMatching(message) });
    }
  });

  it('of the most values that are let through holds nobody up', async () => {
    const item = '{"type":"message","role":"user","content":[{"type":"input_text","text":"x"}]}';
    const items = Array.from({ length: 6_000 }, () => item).join();
    await unnoticed('6,000 items', () =>
      attacker.post('/responses/input_tokens', `{"model":"python","input":[${items}]}`),
    );
    const wrong = Array.from({ length: 9_999 }, () => '{"role":5}').join();
    await unnoticed('9,999 wrong items', () =>
      attacker.post('/responses', `{"model":"python","input":[${wrong}]}`),
    );
  });

  it.each([
    ['is not JSON', '{"name":'],
    ['reaches into prototypes', '{"name":"x","__proto__":{"a":1}}'],
  ])('is refused when it %s', async (_, body) => {
    expect(await refusal('/containers', body)).toMatchObject({
      status: 400,
      code: null,
      message: /could not parse/,
    });
  });

  it('is refused early where it needs no room, and names the limit', async () => {
    const error = await refusal('/containers', JSON.stringify({ name: 'x'.repeat(2 * MIB) }));
    expect(error).toMatchObject({
      status: 413,
      code: 'request_too_large',
      message: expect.stringContaining('1048576'),
    });
  });
});

describe('bodies of 33 MB', () => {
  const file = 'QUJD'.repeat((32.5 * MIB) / 4);
  const patient = () => ({ signal: AbortSignal.timeout(MANY_BODIES_MS) });
  const large = Buffer.from(JSON.stringify({ model: 'python', input: file }));

  it('with one file inside hold nobody up', async () => {
    const message = {
      role: 'user',
      content: [
        { type: 'input_file', filename: 'a.txt', file_data: `data:text/plain;base64,${file}` },
        { type: 'input_text', text: 'print:1' },
      ],
    };
    const body = JSON.stringify({ model: 'python', input: [message], tools: JSON.parse(`{${TOOL}}`).tools });
    const reply = await unnoticed(
      'one inline file',
      () => attacker.post('/responses', body),
      LONGEST_WAIT_LARGE_MS,
    );
    expect([reply.status, reply.body]).toMatchObject([200, { status: 'completed' }]);
    const shown = await unnoticed(
      'the same file, shown',
      () => attacker.get(`/responses/${(reply.body as { id: string }).id}/input_items`),
      LONGEST_WAIT_LARGE_MS,
    );
    expect(JSON.stringify(shown.body)).toContain(message.content[0]!.file_data);
  });

  it('a program of 10 MB, run and shown, holds nobody up', async () => {
    const code = `print:1${' '.repeat(10 * MIB - 10)}`;
    const { body } = await attacker.post('/containers', { name: 'long' });
    const path = `/containers/${(body as { id: string }).id}/executions`;
    const run = () => attacker.post(path, JSON.stringify({ code }));
    expect((await unnoticed('a program of 10 MB', run)).status).toBe(200);
    expect((await unnoticed('its execution, shown', () => attacker.get(path))).status).toBe(200);
    const asked = JSON.stringify({ model: 'python', input: code, tools: JSON.parse(`{${TOOL}}`).tools });
    const reply = await unnoticed('the model python, 10 MB', () => attacker.post('/responses', asked));
    expect([reply.status, reply.body]).toMatchObject([200, { status: 'completed' }]);
  });

  it(
    'fifty at once wait for each other, not the others for them',
    async () => {
      const send = async () => (await attacker.request('POST', '/responses', large, patient())).status;
      const statuses = await unnoticed(
        '50 bodies',
        () => Promise.all(Array.from({ length: 50 }, send)),
        LONGEST_WAIT_LARGE_MS,
      );
      // On a slow machine the last ones are asked to come again.
      for (const status of statuses) expect([400, 503]).toContain(status);
      expect(statuses).toContain(400);
      expect(await metric(server.origin, server.adminKey, 'json_bodies_bytes')).toBe(0);
    },
    MANY_BODIES_MS,
  );
});
