/** Mixed work by the official client, each piece of which keeps in the ledger what it was promised. */
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { APIConnectionError, APIError, toFile } from 'openai';
import type { Execution } from '../support/api.js';
import { type Ledger, sha256 } from './ledger.js';
import type { Chance } from './random.js';

/** Something that hands go on with, and how many of its kind have been made. */
interface Shared {
  current?: Promise<string> | undefined;
  made: number;
}

/** Sandboxes that start would be most of what hands wait for, so there are few of them. */
export interface Used {
  /** Ids of containers. */
  readonly containers: Shared;
  /** Ids of responses that completed, each with a container. */
  readonly chats: Shared;
  files: number;
}

export const nothingUsed = (): Used => ({ containers: { made: 0 }, chats: { made: 0 }, files: 0 });

export interface Hand {
  readonly client: OpenAI;
  readonly ledger: Ledger;
  readonly chance: Chance;
  readonly used: Used;
}

type Piece = (hand: Hand) => Promise<void>;

const TOOLS: OpenAI.Responses.Tool[] = [{ type: 'code_interpreter', container: { type: 'auto' } }];
/** What a server in trouble may answer: come back later, no room, no sandbox. */
const EXCUSED = new Set([409, 429, 502, 503, 504, 507]);
const PAUSE_MS = 100;
/** How often hands go on with the container or the chat of before, and most of each that they make. */
const GO_ON = 0.8;
const MOST_MADE = 2;

/** What a hand was to go on with has failed for another hand, who counts it. */
class Unusable extends Error {}
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

/** Whether to go on with what is there instead of making another one. */
const goesOn = ({ current, made }: Shared, chance: Chance): boolean =>
  current !== undefined && (made >= MOST_MADE || chance.next() < GO_ON);

/** Whoever comes next goes on with it, unless it fails. */
function share(kind: Shared, making: Promise<string>): Promise<string> {
  kind.current = making;
  kind.made += 1;
  making.catch(() => {
    if (kind.current === making) kind.current = undefined;
    kind.made -= 1;
  });
  return making;
}

/** The container of before, or a new one. */
function containerOf({ client, ledger, chance, used: { containers } }: Hand): Promise<string> {
  if (goesOn(containers, chance)) return containers.current!;
  const making = client.containers.create({ name: 'work' }).then(({ id }) => {
    ledger.containers.add(id);
    return id;
  });
  return share(containers, making);
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

/** A first turn, whose container the next ones use. */
function newChat({ client, ledger, used }: Hand, token: string): Promise<string> {
  const making = client.responses
    .create({ model: 'python', input: `print('${token}')`, tools: TOOLS })
    .then((response) => {
      keepContainer(ledger, response);
      ledger.responses.push({ id: response.id, token });
      if (response.status !== 'completed') throw new Unusable(`the first turn is ${response.status}`);
      return response.id;
    });
  return share(used.chats, making);
}

const answer: Piece = async (hand) => {
  const { client, ledger, chance, used } = hand;
  const token = `token-${chance.whole(1, 1e9)}`;
  if (!goesOn(used.chats, chance)) return void (await newChat(hand, token));
  const response = await client.responses.create({
    model: 'python',
    input: `print('${token}')`,
    tools: TOOLS,
    include: ['code_interpreter_call.outputs'],
    previous_response_id: await used.chats.current!,
  });
  keepContainer(ledger, response);
  ledger.responses.push({ id: response.id, token });
};

const background: Piece = async (hand) => {
  const { client, ledger, chance, used } = hand;
  const token = `token-${chance.whole(1, 1e9)}`;
  const before = used.chats.current === undefined ? {} : { previous_response_id: await used.chats.current };
  const response = await client.responses.create({
    model: 'python',
    input: `import time; time.sleep(${chance.whole(0, 20) / 10}); print('${token}')`,
    tools: TOOLS,
    background: true,
    ...before,
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
    if (error instanceof Unusable) return ledger.count('unusable');
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
export async function workUntil(stopped: AbortSignal, hands: readonly Hand[]): Promise<void> {
  const work = async (hand: Hand): Promise<void> => {
    while (!stopped.aborted) {
      const [name, piece] = hand.chance.pick(PIECES);
      await doPiece(name, piece, hand);
      await sleep(PAUSE_MS);
    }
  };
  await Promise.all(hands.map(work));
}
