/** Mixed work by the official client, each piece of which keeps in the ledger what it was promised. */
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { APIConnectionError, APIError, toFile } from 'openai';
import type { Execution } from '../support/api.js';
import { type Ledger, sha256 } from './ledger.js';
import type { Chance } from './random.js';

/** What hands go on with: sandboxes that start would be most of what they wait for. */
interface Used {
  container?: Promise<string> | undefined;
  /** A response that completed, with its container. */
  response?: string | undefined;
  files: number;
}

export interface WorkTools {
  readonly client: OpenAI;
  readonly ledger: Ledger;
  readonly chance: Chance;
}

interface Hand extends WorkTools {
  readonly used: Used;
}

type Piece = (hand: Hand) => Promise<void>;

const TOOLS: OpenAI.Responses.Tool[] = [{ type: 'code_interpreter', container: { type: 'auto' } }];
/** What a server in trouble may answer: come back later, no room, no sandbox. */
const EXCUSED = new Set([409, 429, 502, 503, 504, 507]);
const PAUSE_MS = 100;
/** How often hands go on with the container or the chat of before. */
const GO_ON = 0.8;
const LARGEST_FILE = 300_000;

/** Bytes that repeat for a seed, so that a failure names all of them. */
function bytesOf(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0, value = seed >>> 0; at < length; at += 1) {
    value = (Math.imul(value, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = value >>> 24;
  }
  return bytes;
}

const upload: Piece = async ({ client, ledger, chance }) => {
  const bytes = bytesOf(chance.whole(1, 1e9), chance.whole(0, LARGEST_FILE));
  const file = await client.files.create({ file: await toFile(bytes, 'work.bin'), purpose: 'user_data' });
  ledger.files.push({ path: `/files/${file.id}/content`, sha256: sha256(bytes) });
};

/** The container of before, or a new one. */
function containerOf({ client, ledger, chance, used }: Hand): Promise<string> {
  if (used.container !== undefined && chance.next() < GO_ON) return used.container;
  const made = client.containers.create({ name: 'work' }).then(({ id }) => {
    ledger.containers.add(id);
    return id;
  });
  used.container = made;
  made.catch(() => {
    if (used.container === made) used.container = undefined;
  });
  return made;
}

/** Code that leaves a file behind; its answer is kept with the bytes. */
const execute: Piece = async (hand) => {
  const { client, ledger, chance, used } = hand;
  used.files += 1;
  const path = `/mnt/data/made-${used.files}.txt`;
  const id = await containerOf(hand);
  const [times, text] = [chance.whole(1, 2_000), `made-${chance.whole(1, 1e9)}-`];
  const code = `open('${path}', 'w').write(${JSON.stringify(text)} * ${times})\nprint('${text}')`;
  const made = await client.post<Execution>(`/containers/${id}/executions`, { body: { code } });
  ledger.executions.push({ container: id, id: made.id, answer: made });
  const file = made.files.find((each) => each.path === path);
  if (made.status !== 'completed') return;
  const content = sha256(Buffer.from(text.repeat(times)));
  if (file) ledger.files.push({ path: `/containers/${id}/files/${file.id}/content`, sha256: content });
  else if (made.outputs.some(({ code: notice }) => notice === 'files_not_stored'))
    ledger.owed.push({ container: id, path, sha256: content });
  else ledger.odd('a completed execution lists no file', JSON.stringify(made));
};

/** The turn that goes before, and with it the container; none for a new chat. */
const earlier = ({ chance, used }: Hand) =>
  used.response !== undefined && chance.next() < GO_ON ? { previous_response_id: used.response } : {};

const answer: Piece = async (hand) => {
  const { client, ledger, chance, used } = hand;
  const token = `token-${chance.whole(1, 1e9)}`;
  const response = await client.responses.create({
    model: 'python',
    input: `print('${token}')`,
    tools: TOOLS,
    include: ['code_interpreter_call.outputs'],
    ...earlier(hand),
  });
  keepContainer(ledger, response);
  ledger.responses.push({ id: response.id, token });
  used.response = response.status === 'completed' ? response.id : undefined;
};

const background: Piece = async (hand) => {
  const { client, ledger, chance } = hand;
  const token = `token-${chance.whole(1, 1e9)}`;
  const response = await client.responses.create({
    model: 'python',
    input: `import time; time.sleep(${chance.whole(0, 20) / 10}); print('${token}')`,
    tools: TOOLS,
    background: true,
    ...earlier(hand),
  });
  ledger.responses.push({ id: response.id, token });
};

const converse: Piece = async ({ client, ledger, chance }) => {
  const { id } = await client.conversations.create({});
  const kept = { id, items: [] as string[] };
  ledger.conversations.push(kept);
  for (let item = chance.whole(1, 4); item > 0; item -= 1) {
    const content = `item ${item}`;
    const added = await client.conversations.items.create(id, {
      items: [{ type: 'message', role: 'user', content }],
    });
    kept.items.push(...added.data.map((each) => each.id ?? ''));
  }
};

/** Reads again what was promised; wrong bytes and a 404 are never excused. */
const readAgain: Piece = async ({ client, ledger, chance }) => {
  if (ledger.files.length === 0) return;
  const { path, sha256: wanted } = chance.pick(ledger.files);
  const reply = await client.get<Response>(path, { __binaryResponse: true });
  const found = sha256(new Uint8Array(await reply.arrayBuffer()));
  if (found !== wanted) ledger.odd(`${path} has other bytes`, `${found} instead of ${wanted}`);
};

export function keepContainer(ledger: Ledger, response: Pick<OpenAI.Responses.Response, 'output'>): void {
  for (const item of response.output) {
    if (item.type === 'code_interpreter_call') ledger.containers.add(item.container_id);
  }
}

const PIECES: readonly (readonly [string, Piece])[] = [
  ['upload', upload],
  ['execute', execute],
  ['answer', answer],
  ['background', background],
  ['converse', converse],
  ['read', readAgain],
];

async function doPiece(name: string, piece: Piece, hand: Hand): Promise<void> {
  const { ledger } = hand;
  const begin = performance.now();
  try {
    await piece(hand).finally(() => ledger.took(name, performance.now() - begin));
    ledger.count('done');
  } catch (error) {
    if (error instanceof APIConnectionError) return ledger.count('no answer');
    if (!(error instanceof APIError)) return error instanceof TypeError ? ledger.count('cut') : fail(error);
    ledger.count(String(error.status));
    if (!EXCUSED.has(error.status as number))
      ledger.odd(`${name} was answered ${error.status}`, error.message);
  }
  function fail(error: unknown): void {
    ledger.odd(`${name} failed in an odd way`, error);
  }
}

/** Works with this many hands until told to stop; resolves when the last request has ended. */
export async function workUntil(stopped: AbortSignal, hands: readonly WorkTools[]): Promise<void> {
  const used: Used = { files: 0 };
  const work = async (tools: WorkTools): Promise<void> => {
    const hand: Hand = { ...tools, used };
    while (!stopped.aborted) {
      const [name, piece] = tools.chance.pick(PIECES);
      await doPiece(name, piece, hand);
      await sleep(PAUSE_MS);
    }
  };
  await Promise.all(hands.map(work));
}
