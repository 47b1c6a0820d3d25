/**
 * Requests whose end can be read in two ways, as they are sent to slip a second request past a proxy: what
 * follows the first one is never carried out, and everything is answered once at most.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api, type Page } from '../../support/api.js';
import { newProject, showLogOnFailure } from '../../support/project.js';
import { RawConnection } from '../../support/raw-http.js';
import { startServer, type TestServer } from '../../support/server.js';

let server: TestServer;
let api: Api;
showLogOnFailure(() => server);
beforeAll(async () => {
  server = await startServer({ fakeSandboxes: true, name: 'smuggling', env: { SANDBOX_POOL: '' } });
  api = new Api(server.url, await newProject(server, 'victim'));
});
afterAll(() => server?.stop());

const BODY = '{"name":"smuggled"}';
const lines = (...all: readonly string[]): string => all.join('\r\n');
const authorization = (): string => `Authorization: Bearer ${api.key}`;
const JSON_TYPE = 'Content-Type: application/json';

/** The request that must not be carried out: it would make a container. */
const second = (): string =>
  lines(
    'POST /v1/containers HTTP/1.1',
    'Host: victim',
    authorization(),
    JSON_TYPE,
    'Connection: close',
    `Content-Length: ${BODY.length}`,
    '',
    BODY,
  );

/** The first request up to the headers that say how long it is. */
const first = (...framing: readonly string[]): string =>
  lines('POST /v1/conversations HTTP/1.1', 'Host: front', authorization(), JSON_TYPE, ...framing, '', '');

const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
const last = '0\r\n\r\n';

const containers = async (): Promise<number> =>
  (await api.ok<Page>('GET', '/containers?limit=100')).data.length;

const repliesIn = (text: string): string[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => status!);

const FORMS: readonly (readonly [string, () => string])[] = [
  ['a length and chunks', () => first('Content-Length: 5', 'Transfer-Encoding: chunked') + last],
  ['chunks and a length', () => first('Transfer-Encoding: chunked', 'Content-Length: 5') + last],
  ['two lengths', () => first('Content-Length: 2', 'Content-Length: 0') + '{}'],
  ['two lengths in one header', () => `${first('Content-Length: 0, 2')}{}`],
  ['a length with a sign', () => `${first('Content-Length: +2')}{}`],
  ['a length below nothing', () => first('Content-Length: -1')],
  ['a length in hexadecimal', () => first('Content-Length: 0x0')],
  ['a length beyond 64 bits', () => first('Content-Length: 18446744073709551616')],
  ['a length with a space before the colon', () => first('Content-Length : 0')],
  ['a coding with a space before the colon', () => first('Transfer-Encoding : chunked') + last],
  ['a coding that nobody knows', () => first('Transfer-Encoding: xchunked', 'Content-Length: 0')],
  ['a coding after chunked', () => first('Transfer-Encoding: chunked, identity') + last],
  ['two codings', () => first('Transfer-Encoding: chunked', 'Transfer-Encoding: identity') + last],
  ['a coding on the next line', () => first('Transfer-Encoding:', ' chunked', 'Content-Length: 0')],
  [
    'a header that goes on in the next line',
    () => first('X-One: 1', '\tTransfer-Encoding: chunked', 'Content-Length: 0'),
  ],
  [
    'a chunk of a length that is no number',
    () => `${first('Transfer-Encoding: chunked')}zz\r\n{}\r\n${last}`,
  ],
  [
    'a chunk beyond 64 bits',
    () => `${first('Transfer-Encoding: chunked')}10000000000000000\r\n{}\r\n${last}`,
  ],
  ['a chunk that is longer than it says', () => `${first('Transfer-Encoding: chunked')}1\r\n{}\r\n${last}`],
  ['lines that end in line feeds', () => first('Transfer-Encoding: chunked').replaceAll('\r\n', '\n') + last],
  [
    'a line that ends in a carriage return',
    () => first('Content-Length: 0\rTransfer-Encoding: chunked') + last,
  ],
  ['a null byte in a header', () => first('X-Null: a\0b', 'Content-Length: 0')],
  ['a version of its own', () => first('Content-Length: 0').replace('HTTP/1.1', 'HTTP/1.1.1')],
  ['a space before the first header', () => first('Content-Length: 0').replace('Host:', ' Host:')],
];

describe('a second request behind', () => {
  it.each(FORMS)('%s is not carried out', async (_, form) => {
    const text = await RawConnection.exchange(server.origin, form() + second());
    expect(repliesIn(text)).toEqual(['400']);
    expect(await containers()).toBe(0);
  });

  it('a body of a GET is its body', async () => {
    const get = lines(
      'GET /v1/models HTTP/1.1',
      'Host: front',
      authorization(),
      'Connection: close',
      `Content-Length: ${second().length}`,
      '',
      '',
    );
    expect(repliesIn(await RawConnection.exchange(server.origin, get + second()))).toHaveLength(1);
    expect(await containers()).toBe(0);
  });

  it.each([
    ['of an honest length', () => `${first('Content-Length: 2')}{}`],
    ['in honest chunks', () => first('Transfer-Encoding: chunked') + chunk('{}') + last],
  ])('control: one %s is carried out', async (_, form) => {
    const text = await RawConnection.exchange(server.origin, form() + second());
    expect(repliesIn(text)).toEqual(['200', '200']);
    expect(await containers()).toBe(1);
    await api.deleteContainers();
  });
});
