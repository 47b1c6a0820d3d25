/**
 * A real server for tests: the compiled program as a child process, with its embedded PostgreSQL, on
 * the engine of this machine, with a folder and a port of its own. Tests reach it over HTTP only.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { engineSettings, TEMPLATE_DIR } from '../fakes/sandboxes/real-engine.js';
import { END_WITH_PARENT, freePort } from './child.js';
import { removeAll, removeLeftovers, removeSandboxesOf, sandboxesOf } from './leftovers.js';

const ROOT = resolve(import.meta.dirname, '../..');
/** Patient, because the machine of a test run may be busy with other things. */
const READY_TIMEOUT_MS = 240_000;
const STOP_TIMEOUT_MS = 40_000;
const POLL_MS = 50;
/** Lines of the log that are shown when something went wrong. */
const TAIL_LINES = 30;
const LINE_CHARACTERS = 2_000;
/** Requests that went well are not worth reading. */
const ROUTINE = /^\{"level":(10|20|30),/;

export interface ServerAddress {
  /** Base URL of the API, with its prefix. */
  readonly url: string;
  /** The same without the prefix. */
  readonly origin: string;
  readonly apiKey: string;
  readonly adminKey: string;
  readonly dataDir: string;
  readonly logFile: string;
}

export interface ServerOptions {
  /** Variables of docs/configuration.md that differ from the defaults. */
  readonly env?: Readonly<Record<string, string>>;
  /** Without Docker: the compiled server with the fake driver, whose sandboxes end with the process. */
  readonly fakeSandboxes?: boolean;
  /** Shows up in the name of the folder. */
  readonly name?: string;
}

/** For what measures sandboxes as users have them; the other tests have nothing imported before it is used. */
export const AS_INSTALLED = { SANDBOX_PRELOAD: '' } as const;

export interface TestServer extends ServerAddress {
  readonly pid: number;
  /** Ends the process by this signal and starts it again on the same folder and port. */
  restart(signal?: NodeJS.Signals): Promise<void>;
  /** Ends the process by this signal and leaves everything else. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again after `kill`, with these variables besides those it was made with. */
  start(env?: Readonly<Record<string, string>>): Promise<void>;
  /** Docker's ids of all its sandboxes, whatever their state. */
  sandboxes(): Promise<readonly string[]>;
  /** As if the machine had been switched off: every sandbox goes. */
  removeSandboxes(): Promise<void>;
  /** What the server wrote last. */
  logTail(): string;
  /** Stops it and removes all it made; rejects, naming it, when it left something running by itself. */
  stop(): Promise<void>;
}

/** What a server wrote from this byte of its log on, without the routine. */
export function readLog(logFile: string, start = 0, lines = TAIL_LINES): string {
  if (!existsSync(logFile)) return '';
  const all = readFileSync(logFile).subarray(start).toString().split('\n');
  const told = all.filter((line) => line !== '' && !ROUTINE.test(line));
  return told
    .slice(-lines)
    .map((line) => line.slice(0, LINE_CHARACTERS))
    .join('\n');
}

/** The compiled server; compiled now if sources changed. */
function builtServer(): string {
  const given = process.env['TEST_SERVER_MAIN'];
  if (given !== undefined) return resolve(given);
  execFileSync('bash', [join(ROOT, 'scripts/build-server')], { stdio: ['ignore', 'inherit', 'inherit'] });
  return join(ROOT, 'orchestrator/dist/main.js');
}

/** Runs a TypeScript file as it is. */
const TYPESCRIPT = [
  '--experimental-transform-types',
  '--disable-warning=ExperimentalWarning',
  join(ROOT, 'scripts/lib/run-typescript.mjs'),
];
const FAKE_MAIN = join(ROOT, 'test/fakes/server/main.ts');

function engineVariables(): NodeJS.ProcessEnv {
  const { dockerHost, runtime, image } = engineSettings();
  return { DOCKER_HOST: dockerHost, SANDBOX_RUNTIME: runtime, SANDBOX_IMAGE: image };
}

class ServerProcess implements TestServer {
  readonly apiKey = 'sk-contract-test-key-of-the-first-project';
  readonly adminKey = 'admin-contract-test-key';
  readonly url: string;
  readonly origin: string;
  readonly dataDir: string;
  readonly logFile: string;
  private readonly program: readonly string[];
  private child: ChildProcess | undefined;

  constructor(
    private readonly port: number,
    private readonly options: ServerOptions,
  ) {
    this.dataDir = mkdtempSync(
      join(tmpdir(), `code-interpreter-${options.name ?? 'server'}-${process.pid}-`),
    );
    const main = builtServer();
    this.program = options.fakeSandboxes ? [...TYPESCRIPT, FAKE_MAIN, main] : [main];
    this.logFile = join(this.dataDir, 'server.log');
    this.origin = `http://127.0.0.1:${port}`;
    this.url = `${this.origin}/v1`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const log = openSync(this.logFile, 'a');
    this.child = spawn(process.execPath, ['--import', END_WITH_PARENT, ...this.program], {
      cwd: ROOT,
      env: { ...this.environment(), ...env },
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (!(await this.isReady())) {
      if (this.ended) throw new Error(`the server ended while it started:\n${this.logTail()}`);
      if (Date.now() > deadline) throw new Error(`the server did not become ready:\n${this.logTail()}`);
      await sleep(POLL_MS);
    }
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const child = this.child;
    if (!child || this.ended) return;
    child.kill(signal);
    const deadline = Date.now() + STOP_TIMEOUT_MS;
    while (!this.ended && Date.now() < deadline) await sleep(POLL_MS);
    if (this.ended) return;
    child.kill('SIGKILL');
    throw new Error(`the server did not end within ${STOP_TIMEOUT_MS} ms of ${signal}:\n${this.logTail()}`);
  }

  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.kill(signal);
    await this.start();
  }

  logTail(): string {
    return readLog(this.logFile);
  }

  async stop(): Promise<void> {
    const crashed = this.child === undefined || this.ended;
    try {
      await this.kill('SIGTERM');
      const left = crashed ? [] : this.leftProcesses();
      if (left.length > 0) throw new Error(`the server left running: ${left.join(', ')}\n${this.logTail()}`);
    } finally {
      await removeAll(this.dataDir);
    }
  }

  sandboxes(): Promise<readonly string[]> {
    return sandboxesOf(this.dataDir);
  }

  removeSandboxes(): Promise<void> {
    return removeSandboxesOf(this.dataDir);
  }

  private get ended(): boolean {
    return this.child !== undefined && (this.child.exitCode !== null || this.child.signalCode !== null);
  }

  private async isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.origin}/health/live`, { signal: AbortSignal.timeout(2_000) })).ok;
    } catch {
      return false;
    }
  }

  private environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      TZ: 'Pacific/Auckland',
      // Imports are most of what the start of a sandbox costs.
      SANDBOX_PRELOAD: 'none',
      // As a server that was started before finds its own.
      SANDBOX_TEMPLATE_DIR: TEMPLATE_DIR,
      ...(this.options.fakeSandboxes ? {} : engineVariables()),
      DATA_DIR: this.dataDir,
      PORT: String(this.port),
      API_KEY: this.apiKey,
      ADMIN_KEY: this.adminKey,
      ...this.options.env,
    };
  }

  private leftProcesses(): string[] {
    return existsSync(join(this.dataDir, 'postgres/cluster/postmaster.pid')) ? ['PostgreSQL'] : [];
  }
}

/** Ready to be asked when it resolves. Takes some eight seconds: share it where a test can. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  await removeLeftovers();
  const server = new ServerProcess(await freePort(), options);
  try {
    await server.start();
    return server;
  } catch (error) {
    await server.stop().catch(() => undefined);
    throw error;
  }
}
