/** What must be true after every fault, once the server has had its time to recover. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type OpenAI from 'openai';
import { installationPrefix } from '../../orchestrator/src/sandboxes/docker/sandbox-labels.js';
import { Api, eventually, type Execution, type Page } from '../support/api.js';
import { onDatabase } from '../support/project.js';
import type { TestServer } from '../support/server.js';
import { keepContainer } from './work.js';
import { type Ledger, sha256 } from './ledger.js';
import type { Watch } from './watch.js';

/** Ten times what a quiet machine needs. */
const END_TIMEOUT_MS = 120_000;
const CLEAN_TIMEOUT_MS = 90_000;
const ENDED = new Set(['completed', 'failed', 'incomplete', 'cancelled']);

export interface Checked {
  readonly server: TestServer;
  readonly api: Api;
  readonly ledger: Ledger;
  /** Warm sandboxes that belong to nobody. */
  readonly pool: number;
  readonly watch?: Watch;
}

/** A few at a time: the server has more to do than to be checked. */
async function forEach<T>(all: readonly T[], look: (one: T) => Promise<void>): Promise<void> {
  const waiting = [...all];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await look(next);
  };
  await Promise.all(Array.from({ length: 8 }, work));
}

/** It answers, with all its parts. */
export async function isReady({ server }: Checked): Promise<void> {
  const ask = () => fetch(`${server.origin}/health/ready`).then(({ status }) => status, String);
  const status = await eventually(ask, (found) => found === 200, END_TIMEOUT_MS);
  if (status !== 200) throw new Error(`not ready: ${status}`);
}

/** What could not be stored while the disk was full is stored by the sweep. */
async function owedFilesFollow({ api, ledger }: Checked): Promise<void> {
  await forEach(ledger.owed.splice(0), async ({ container, path, sha256: content }) => {
    const list = () => api.ok<Page<{ id: string; path: string }>>('GET', `/containers/${container}/files`);
    const { data } = await eventually(
      list,
      (page) => page.data.some((file) => file.path === path),
      END_TIMEOUT_MS,
    );
    const file = data.find((each) => each.path === path);
    if (file)
      ledger.files.push({ path: `/containers/${container}/files/${file.id}/content`, sha256: content });
    else ledger.odd(`${path} of ${container} was said to follow and did not`, JSON.stringify(data));
  });
}

async function filesAreRight({ api, ledger }: Checked): Promise<void> {
  await forEach(ledger.files, async ({ path, sha256: wanted }) => {
    const reply = await fetch(`${api.url}${path}`, { headers: { authorization: `Bearer ${api.key}` } });
    const bytes = new Uint8Array(await reply.arrayBuffer());
    if (reply.status !== 200) ledger.odd(`${path} was kept and answers ${reply.status}`, Buffer.from(bytes));
    else if (sha256(bytes) !== wanted) ledger.odd(`${path} was kept and has other bytes`, bytes.length);
  });
}

async function executionsAreTrue({ api, ledger }: Checked): Promise<void> {
  await forEach(ledger.executions, async ({ container, id, answer }) => {
    const found = await api.get<Execution>(`/containers/${container}/executions/${id}`);
    if (found.status !== 200) ledger.odd(`execution ${id} answers ${found.status}`, found.text);
    else if (!isDeepStrictEqual(found.body, answer)) {
      ledger.odd(`execution ${id} is told in another way`, `${found.text} was ${JSON.stringify(answer)}`);
    }
  });
}

async function responsesEnd({ api, ledger }: Checked): Promise<void> {
  await forEach(ledger.responses, async ({ id, token }) => {
    const path = `/responses/${id}?include=code_interpreter_call.outputs`;
    const { status, text, body } = await eventually(
      () => api.get<OpenAI.Responses.Response>(path),
      (reply) => reply.status === 200 && ENDED.has(reply.body.status ?? ''),
      END_TIMEOUT_MS,
    );
    if (status !== 200) ledger.odd(`response ${id} was begun and answers ${status}`, text);
    else if (!ENDED.has(body.status ?? '')) ledger.odd(`response ${id} never ends`, text);
    else if (body.status === 'completed' && !text.includes(token)) {
      ledger.odd(`response ${id} is completed without what it printed`, text);
    }
    if (status === 200) keepContainer(ledger, body);
  });
}

async function conversationsAreWhole({ api, ledger }: Checked): Promise<void> {
  await forEach(ledger.conversations, async ({ id, items }) => {
    const path = `/conversations/${id}/items?order=asc&limit=100`;
    const reply = await api.get<Page<{ id: string }>>(path);
    if (reply.status !== 200) {
      ledger.odd(`conversation ${id} answers ${reply.status}`, reply.text);
      return;
    }
    const found = reply.body.data.map((item) => item.id).filter((each) => items.includes(each));
    if (!isDeepStrictEqual(found, items))
      ledger.odd(`conversation ${id} lost items`, `${found.join()} of ${items.join()}`);
  });
}

const UNENDED = `
  SELECT 'execution ' || "id" || ' ' || "status" AS it FROM "Execution" WHERE "status" IN ('queued', 'running')
  UNION ALL
  SELECT 'response ' || "id" || ' ' || "status" FROM "Response" WHERE "status" IN ('queued', 'in_progress')
  UNION ALL
  SELECT 'container ' || "id" || ' ' || coalesce("sandboxId", '-') FROM "Container" WHERE "status" = 'running'
`;

/** Names in a folder; none where there is no folder. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Cgroups of containers below this server's own, in each hierarchy by itself. */
function cgroups({ server }: Checked): string[] {
  const id = readFileSync(join(server.dataDir, 'installation-id'), 'utf8').trim();
  const own = join('code-interpreter', installationPrefix(id).slice(0, -1));
  const tops = ['/sys/fs/cgroup', ...namesIn('/sys/fs/cgroup').map((name) => join('/sys/fs/cgroup', name))];
  const isContainer = (name: string): boolean => /^[0-9a-f]{64}$/.test(name);
  return tops.flatMap((top) =>
    namesIn(join(top, own))
      .filter(isContainer)
      .map((name) => join(top, own, name)),
  );
}

/** All that is left of what was worked on, in words. */
async function leftovers(checked: Checked): Promise<string[]> {
  const { server, pool } = checked;
  const { rows } = await onDatabase(server, (client) => client.query<{ it: string }>(UNENDED));
  const sandboxes = await server.sandboxes();
  const folders = namesIn(join(server.dataDir, 'sandboxes'));
  const known = new Set(sandboxes);
  const orphans = cgroups(checked).filter((path) => !known.has(basename(path)));
  const staging = namesIn(join(server.dataDir, 'blobs/staging'));
  return [
    ...rows.map(({ it }) => it),
    ...(sandboxes.length > pool ? [`${sandboxes.length} sandboxes: ${sandboxes.join(' ')}`] : []),
    ...(folders.length > pool ? [`${folders.length} folders of sandboxes: ${folders.join(' ')}`] : []),
    ...orphans.map((path) => `cgroup ${path}`),
    ...staging.map((name) => `staging file ${name}`),
  ];
}

/** Deletes all containers; then nothing may be left but the pool. */
async function nothingIsLeft(checked: Checked): Promise<void> {
  const { api, ledger } = checked;
  await api.deleteContainers();
  const left = await eventually(
    () => leftovers(checked),
    (found) => found.length === 0,
    CLEAN_TIMEOUT_MS,
  );
  for (const each of left) ledger.odd('left behind', each);
}

async function worksAnew({ api, ledger }: Checked): Promise<void> {
  const printed = await eventually(
    async () => api.printed(await api.newContainer(), 'print(1 + 1)').catch(String),
    (text) => text === '2\n',
    END_TIMEOUT_MS,
  );
  if (printed !== '2\n') ledger.odd('1 + 1 does not run any more', printed);
}

/** Puts into the ledger what was promised and is not so; call it after each fault. */
export async function checkPromises(checked: Checked): Promise<void> {
  const { watch } = checked;
  await isReady(checked);
  watch?.lap('ready');
  await responsesEnd(checked);
  watch?.lap('responses');
  await owedFilesFollow(checked);
  await Promise.all([filesAreRight(checked), executionsAreTrue(checked), conversationsAreWhole(checked)]);
  watch?.lap('promises');
}

/** Deletes all containers, and puts into the ledger what is left of them. */
export async function checkLeftovers(checked: Checked): Promise<void> {
  const { watch } = checked;
  await worksAnew(checked);
  watch?.lap('anew');
  await nothingIsLeft(checked);
  watch?.lap('leftovers');
}
