/** What the test of a credential says: the cure for what is wrong with it. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { codeInterpreterApiTest } from '../../../nodes/shared/credentialTest.js';
import { Endpoint, Refusal, refusal } from './endpoint.js';

const endpoint = new Endpoint();
/** A server that answers 200 to everything, as n8n itself does. */
const other = createServer((_, reply) => void reply.writeHead(200).end('<html></html>'));
let otherUrl = '';
beforeAll(async () => {
  await endpoint.start();
  await new Promise<void>((done) => void other.listen(0, '127.0.0.1', done));
  otherUrl = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
});
afterAll(() => {
  endpoint.stop();
  other.close();
});
beforeEach(() => endpoint.forget());

async function request(options: { uri: string; headers: Record<string, string> }): Promise<object> {
  const response = await fetch(options.uri, { headers: options.headers });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  return { statusCode: response.status, body: isJson ? (JSON.parse(text) as unknown) : text };
}

const test = async (baseUrl: string, apiKey = 'sk-1') =>
  codeInterpreterApiTest.call({ helpers: { request } } as never, { data: { baseUrl, apiKey } } as never);
const said = async (baseUrl: string, apiKey?: string): Promise<string> => {
  const { status, message } = await test(baseUrl, apiKey);
  expect(status).toBe('Error');
  return message;
};

describe('the credential', () => {
  const environment = { object: 'environment', packages: [] };
  const wrongKey = refusal(401, 'Incorrect API key provided.', 'invalid_api_key');

  it('is right where our server answers, with blanks and slashes around it', async () => {
    endpoint.answers['GET /environment'] = environment;
    expect(await test(` ${endpoint.baseUrl}/ `, ' sk-1\n')).toMatchObject({ status: 'OK' });
    expect(endpoint.asked[0]?.key).toBe('Bearer sk-1');
  });

  it('names the key that is wrong, or the admin key', async () => {
    endpoint.answers['GET /environment'] = wrongKey;
    endpoint.answers['GET /admin/v1/pool'] = wrongKey;
    expect(await said(endpoint.baseUrl)).toMatch(/does not accept the key in 'API Key'/);
    endpoint.answers['GET /admin/v1/pool'] = { host_free_bytes: 1 };
    expect(await said(endpoint.baseUrl)).toMatch(/This is the admin key/);
    expect(await said(endpoint.baseUrl, ' ')).toMatch(/'API Key' is empty/);
  });

  it('names the prefix that is missing', async () => {
    endpoint.answers['GET /environment'] = environment;
    const bare = endpoint.baseUrl.replace(/\/v1\/$/, '');
    endpoint.answers['GET /environment'] = [
      new Refusal(404, { error: { message: 'No route.', code: null } }),
      environment,
    ];
    expect(await said(bare)).toBe(`'Base URL' lacks the prefix of the API. Enter ${bare}/v1.`);
  });

  it('is not right because something answers', async () => {
    expect(await said(`${otherUrl}/v1`)).toMatch(/^Something else answers at .*'Base URL'/);
    endpoint.answers['GET /environment'] = new Refusal(502, 'Bad gateway');
    expect(await said(endpoint.baseUrl)).toMatch(/status 502.*proxy/);
  });

  it('names Docker where localhost does not answer, and says what is no address', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address() as AddressInfo;
    closed.close();
    const message = await said(`http://127.0.0.1:${port}/v1`);
    expect(message).toMatch(/could not be reached.*Start the server.*host\.docker\.internal/);
    expect(await said('localhost:3000')).toMatch(/not an address/);
  });
});
