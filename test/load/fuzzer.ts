/** Schemathesis, which makes up requests from an OpenAPI document and judges the replies by it. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

interface Schema {
  properties?: Record<string, unknown>;
}
interface Operation {
  responses: Record<string, unknown>;
}
/** As much of docs/api/openapi.json as tests change. */
export interface ApiDocument {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, Schema> };
}

export interface Campaign {
  readonly document: ApiDocument;
  readonly origin: string;
  readonly key: string;
  /** A regular expression for the paths that are asked. */
  readonly paths: string;
  /**
   * Most made-up requests for each operation, besides those for the edges of each schema; and as many chains
   * of requests that use the ids in earlier replies.
   */
  readonly examples: number;
  readonly seed: number;
}

export interface Verdict {
  readonly cases: number;
  /** All that was wrong, in the fuzzer's words, with a curl command for each; empty when nothing was. */
  readonly complaints: string;
}

/** What a reply is judged by: no 5xx, no status and no content type that the document does not name. */
const CHECKS = ['not_a_server_error', 'status_code_conformance', 'content_type_conformance'];
/** This stops all work of the server; what comes after it would be refused. */
const LEFT_OUT = '^/admin/v1/drain$';
const REQUEST_TIMEOUT_S = 60;
const COUNT = /Test cases:\s*\n?\s*(\d[\d,]*) generated/;

/** The document of this tree; a new copy each time. */
export async function apiDocument(): Promise<ApiDocument> {
  const file = resolve(import.meta.dirname, '../../docs/api/openapi.json');
  return JSON.parse(await readFile(file, 'utf8')) as ApiDocument;
}

/** Made-up webhooks must not reach anybody: every URL that may be called is this one. */
export function callOnly(document: ApiDocument, url: string): ApiDocument {
  for (const { properties } of Object.values(document.components.schemas)) {
    for (const field of ['url', 'callback_url']) {
      if (properties?.[field] !== undefined) properties[field] = { type: 'string', enum: [url] };
    }
  }
  return document;
}

/** Ends when all requests have been answered; rejects when the fuzzer itself failed, with what it said. */
export async function fuzz(campaign: Campaign): Promise<Verdict> {
  const folder = await mkdtemp(join(tmpdir(), 'code-interpreter-fuzz-'));
  try {
    const path = join(folder, 'openapi.json');
    await writeFile(path, JSON.stringify(campaign.document));
    const { code, output } = await run(commandOf(path, campaign), folder);
    const cases = Number(COUNT.exec(output)?.[1]?.replaceAll(',', ''));
    // 1 is "something was found"; everything else, and no count, is a failure of the fuzzer.
    if ((code !== 0 && code !== 1) || !(cases > 0) || /^_+ ERRORS? _+$|=+ ERRORS =+/m.test(output)) {
      throw new Error(`the fuzzer ended with ${code}:\n${output.slice(-6_000)}`);
    }
    return { cases, complaints: code === 0 ? '' : output.slice(output.indexOf('= FAILURES =')) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function commandOf(path: string, { origin, key, paths, examples, seed }: Campaign): string[] {
  return [
    ...['run', path, '--url', origin, '--header', `Authorization: Bearer ${key}`],
    ...['--include-path-regex', paths, '--exclude-path-regex', LEFT_OUT],
    ...[
      '--checks',
      CHECKS.join(),
      '--phases',
      'coverage,fuzzing,stateful',
      '--max-examples',
      String(examples),
    ],
    ...['--workers', '1', '--seed', String(seed), '--request-timeout', String(REQUEST_TIMEOUT_S)],
    ...['--suppress-health-check', 'all', '--warnings', 'off', '--generation-database', 'none', '--no-color'],
  ];
}

function run(command: readonly string[], cwd: string): Promise<{ code: number | null; output: string }> {
  const fuzzer = process.env['TEST_FUZZER'];
  if (fuzzer === undefined) throw new Error('TEST_FUZZER is not set: run this by `npm test -- load`');
  return new Promise((resolved, reject) => {
    const child = spawn(fuzzer, command, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (output += text));
    }
    child.once('error', reject).once('close', (code) => resolved({ code, output }));
  });
}
