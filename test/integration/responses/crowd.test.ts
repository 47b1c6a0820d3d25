/** Many responses that begin and end in the same moment: they share statements, and nothing else. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ResponseEndRepository } from '../../../orchestrator/src/responses/record/response-end.repository.js';
import { newResponse } from '../../../orchestrator/src/responses/record/new-response.js';
import { ResponseLeaseRepository } from '../../../orchestrator/src/responses/record/response-lease.repository.js';
import { ResponseRepository } from '../../../orchestrator/src/responses/record/response.repository.js';
import { type ModelApp, startModelApp } from './model-app.js';

const CROWD = 60;
/** In the future, so that no sweep takes them for abandoned. */
const BEGIN = Date.now() + 3_600_000;

let server: ModelApp;
let projectId: string;
let key: string;
beforeAll(async () => {
  server = await startModelApp(['crowd']);
  ({ id: projectId, key } = await server.project());
});
afterAll(() => server?.stop());

const initial = (index: number) => newResponse(`resp_crowd${index}`, { model: 'crowd' }, new Date());
const row = (index: number, owner = projectId) => ({
  ...{ id: initial(index).id, projectId: owner, keyId: 'key_1', model: 'crowd', background: false },
  ...{ streamed: true, previousResponseId: null, conversationId: null, callbackUrl: null },
  createdAt: new Date(BEGIN + index),
  request: { model: 'crowd', "it's": '\\ "quoted" {,}' },
  body: initial(index),
  input: [0, 1].map((part) => ({
    ...{ id: `msg_${index}_${part}`, type: 'message', role: 'user', status: 'completed' },
    content: [{ type: 'input_text', text: `${index}/${part}` }],
  })) as never,
});
const parts = () => ({
  responses: server.app.get(ResponseRepository, { strict: false }),
  ends: server.app.get(ResponseEndRepository, { strict: false }),
});
const output = (index: number) => ({
  ...{ id: `msg_out${index}`, type: 'message', status: 'completed', role: 'assistant' },
  content: [{ type: 'output_text', text: `answer ${index}`, annotations: [], logprobs: [] }],
});
const completed = (index: number) =>
  ({ ...initial(index), status: 'completed', output: [output(index)] }) as never;

it('are stored each with what is theirs', async () => {
  const { responses } = parts();
  await Promise.all(Array.from({ length: CROWD }, (_, index) => responses.insert(row(index))));
  const rows = await server.prisma.response.findMany({ where: { projectId }, orderBy: { createdAt: 'asc' } });
  expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: CROWD }, (_, index) => `resp_crowd${index}`));
  for (const [index, stored] of rows.entries()) {
    expect(stored).toMatchObject({ status: 'in_progress', streamed: true, previousResponseId: null });
    expect(stored.createdAt.getTime()).toBe(BEGIN + index);
    expect(stored.request).toEqual(row(index).request);
    const items = await responses.items(stored.id);
    expect(items.map(({ id, position }) => [id, position])).toEqual([
      [`msg_${index}_0`, 0],
      [`msg_${index}_1`, 1],
    ]);
  }
});

it('fail alone: one whose project is gone takes no other with it', async () => {
  const { responses } = parts();
  const all = [100, 101, 102].map((index) =>
    responses.insert(row(index, index === 101 ? 'proj_gone' : undefined)),
  );
  const settled = await Promise.allSettled(all);
  expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await responses.find(projectId, 'resp_crowd100')).not.toBeNull();
  expect(await responses.find(projectId, 'resp_crowd102')).not.toBeNull();
});

it('end each once, with their own output', async () => {
  const { responses, ends } = parts();
  expect(await ends.end(completed(0))).toBe(true);
  const told = await Promise.all(Array.from({ length: CROWD }, (_, index) => ends.end(completed(index))));
  expect(told).toEqual(Array.from({ length: CROWD }, (_, index) => index > 0));
  for (let index = 0; index < CROWD; index += 1) {
    const stored = await server.ask(key, 'GET', `/v1/responses/resp_crowd${index}`);
    expect(stored.body).toMatchObject({ status: 'completed', output: [output(index)] });
    expect(await responses.items(`resp_crowd${index}`, 'output')).toHaveLength(1);
  }
});

it('end while their leases are renewed, and nobody waits for the other for ever', async () => {
  const { responses, ends } = parts();
  const indices = Array.from({ length: CROWD }, (_, index) => 200 + index);
  await Promise.all(indices.map((index) => responses.insert(row(index))));
  const leases = server.app.get(ResponseLeaseRepository, { strict: false });
  const ids = indices.map((index) => `resp_crowd${index}`).reverse();
  const renewals = Array.from({ length: 20 }, () => leases.keepWaited(ids));
  const told = await Promise.all(indices.map((index) => ends.end(completed(index))));
  expect(told.every(Boolean)).toBe(true);
  await Promise.all(renewals);
});
