/** The official clients, in every generation that has to work. They never try again by themselves. */
import OpenAI, { toFile } from 'openai';
import OpenAIv4, { toFile as toFileV4 } from 'openai-v4';
import OpenAIv6, { toFile as toFileV6 } from 'openai-v6';
import type { TestProject } from './project.js';

export interface OfficialClient {
  readonly name: string;
  /** Typed as the newest one; what an older one lacks is not called on it. */
  readonly connect: (
    project: TestProject,
    options?: { maxRetries?: number; apiKey?: string; timeoutMs?: number },
  ) => OpenAI;
  readonly toFile: typeof toFile;
}

type Constructor = new (options: {
  baseURL: string;
  apiKey: string;
  maxRetries: number;
  timeout: number;
}) => unknown;

const official = (name: string, Client: Constructor, makeFile: unknown): OfficialClient => ({
  name,
  connect: (project, options = {}) =>
    new Client({
      baseURL: project.server.url,
      apiKey: options.apiKey ?? project.key,
      maxRetries: options.maxRetries ?? 0,
      timeout: options.timeoutMs ?? 220_000,
    }) as OpenAI,
  toFile: makeFile as typeof toFile,
});

const NEWEST = official('openai 7', OpenAI as Constructor, toFile);

export const newest: OfficialClient = NEWEST;
/** For what the server does, whoever asks: the wire is the same for all of them, so one is enough. */
export const behaviour: readonly OfficialClient[] = [NEWEST];
/** For shapes that a client reads, writes or pages through by itself. */
export const current: readonly OfficialClient[] = [
  NEWEST,
  official('openai 6', OpenAIv6 as Constructor, toFileV6),
];
/** For bodies that old clients write differently. */
export const withOld: readonly OfficialClient[] = [
  ...current,
  official('openai 4', OpenAIv4 as Constructor, toFileV4),
];

/** What a client throws, as far as tests look at it. */
export interface ClientError {
  readonly constructor: { readonly name: string };
  readonly status: number;
  readonly code: string | null;
  readonly param: string | null;
  readonly type: string | null;
  readonly message: string;
  readonly requestID?: string;
  readonly headers: unknown;
}

/** The error of a call that must fail. */
export async function errorOf(call: PromiseLike<unknown>): Promise<ClientError> {
  try {
    await call;
  } catch (error) {
    return error as ClientError;
  }
  throw new Error('the call should have failed');
}

/** Collects a list that pages by itself. */
export async function collect<T>(list: PromiseLike<AsyncIterable<T>> | AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of await list) found.push(each);
  return found;
}
