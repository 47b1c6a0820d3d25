/** What the suites on sandboxes share. */
import { Readable } from 'node:stream';
import type {
  ExecuteOptions,
  ExecutionEvent,
  Sandbox,
} from '../../orchestrator/src/sandboxes/sandbox.driver.js';

export const LIMITS: ExecuteOptions = {
  timeoutMs: 30_000,
  maxOutputBytes: 65_536,
  maxImages: 4,
  maxImageBytes: 1_048_576,
};

export type Finished = Extract<ExecutionEvent, { type: 'finished' }>;

/** Everything that one execution said. */
export interface Told {
  readonly events: readonly ExecutionEvent[];
  readonly stdout: string;
  readonly stderr: string;
  readonly notices: readonly string[];
  readonly result: string | undefined;
  readonly error: Extract<ExecutionEvent, { type: 'error' }> | undefined;
  readonly finished: Finished;
}

export async function run(
  sandbox: Sandbox,
  code: string,
  options: Partial<ExecuteOptions> = {},
): Promise<Told> {
  const events: ExecutionEvent[] = [];
  for await (const event of sandbox.execute(code, { ...LIMITS, ...options })) events.push(event);
  return tell(events);
}

export function tell(events: readonly ExecutionEvent[]): Told {
  const finished = events.at(-1);
  if (finished?.type !== 'finished') throw new Error(`the last event is ${JSON.stringify(finished)}`);
  const text = (type: 'stdout' | 'stderr'): string =>
    events.map((event) => (event.type === type ? event.text : '')).join('');
  return {
    events,
    finished,
    stdout: text('stdout'),
    stderr: text('stderr'),
    notices: events.flatMap((event) => (event.type === 'notice' ? [event.code] : [])),
    result: events.find((event) => event.type === 'result')?.text,
    error: events.find((event) => event.type === 'error'),
  };
}

export const source = (...chunks: (string | Buffer)[]): Readable =>
  Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function readAll(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function readText(sandbox: Sandbox, path: string): Promise<string> {
  return (await readAll((await sandbox.getFile(path)).content)).toString();
}

/** The code that a SandboxError carries, `undefined` if nothing was rejected. */
export async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
}
