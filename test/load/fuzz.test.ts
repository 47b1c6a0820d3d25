/**
 * Thousands of made-up requests to every operation of docs/api/openapi.json: none is answered with 5xx, or
 * with a status or a type of content that the document does not name. The same seed makes up the same:
 *
 *   FUZZ_SEED=7 FUZZ_EXAMPLES=500 npm test -- load -t 'made-up'
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Api } from '../support/api.js';
import { besides } from '../support/bystander.js';
import { newProject, showLogOnFailure } from '../support/project.js';
import { startServer, type TestServer } from '../support/server.js';
import { type ApiDocument, apiDocument, callOnly, type Campaign, fuzz, type Verdict } from './fuzzer.js';

const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const EXAMPLES = Number(process.env['FUZZ_EXAMPLES'] ?? 40);
/** Fewer would mean that operations have been left out: the edges of the schemas alone are some thousands. */
const LEAST_CASES = 5_000;
const TIMEOUT_MS = 900_000;

/** What a project may ask. Two of them at a time: a fuzzer needs more of a CPU than the server it asks. */
const SHARES: readonly (readonly [name: string, paths: string])[] = [
  ['responses', '^/v1/responses'],
  ['conversations, files, uploads', '^/v1/(conversations|files|uploads)'],
  ['everything else', '^/v1/(?!responses|conversations|files|uploads)'],
];

let server: TestServer;
let receiver: Server;
let document: ApiDocument;
beforeAll(async () => {
  receiver = createServer((_, reply) => reply.end());
  await new Promise<void>((done) => void receiver.listen(0, '127.0.0.1', done));
  const { port } = receiver.address() as AddressInfo;
  document = callOnly(await apiDocument(), `http://127.0.0.1:${port}/hook`);
  server = await startServer({ fakeSandboxes: true, name: 'fuzz', env: { LOG_LEVEL: 'warn' } });
});
afterAll(async () => {
  await server?.stop();
  receiver?.close();
});
showLogOnFailure(() => server);

const campaign = (paths: string, key: string): Campaign => ({
  document,
  origin: server.origin,
  key,
  paths,
  examples: EXAMPLES,
  seed: SEED,
});

describe(`made-up requests of seed ${SEED}`, () => {
  it(
    'are answered as the document says, and another tenant is answered meanwhile',
    async () => {
      const neighbour = new Api(server.url, await newProject(server, 'neighbour'));
      const waiting = await Promise.all(
        SHARES.map(async ([name, paths]) => ({ name, paths, key: await newProject(server, name) })),
      );
      const verdicts = new Map<string, Verdict>();
      const work = async (): Promise<void> => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          verdicts.set(next.name, await fuzz(campaign(next.paths, next.key)));
        }
      };
      const { waits } = await besides(neighbour, () => Promise.all([work(), work()]));
      const cases = [...verdicts.values()].reduce((sum, verdict) => sum + verdict.cases, 0);
      const longest = waits.longestMs.toFixed();
      process.stdout.write(`${cases} made-up requests; the neighbour waited ${longest} ms at most\n`);
      for (const [name, { complaints }] of verdicts) expect(complaints, name).toBe('');
      expect(cases).toBeGreaterThanOrEqual(LEAST_CASES);
      expect(waits.failed).toBe(0);
    },
    TIMEOUT_MS,
  );

  it(
    'control: a status that the document does not name is noticed',
    async () => {
      const lacking = structuredClone(document);
      delete lacking.paths['/v1/containers/{container_id}']!['get']!.responses['404'];
      const key = await newProject(server, 'control');
      const { complaints } = await fuzz({ ...campaign('^/v1/containers/[^/]+$', key), document: lacking });
      expect(complaints).toContain('Undocumented status code');
    },
    TIMEOUT_MS,
  );

  // At the end: they find the projects of the others in lists, and delete them.
  it(
    'of operators are answered as the document says',
    async () => {
      const { cases, complaints } = await fuzz(campaign('^/(admin|health|metrics)', server.adminKey));
      process.stdout.write(`${cases} made-up requests of operators\n`);
      expect(complaints).toBe('');
    },
    TIMEOUT_MS,
  );
});
