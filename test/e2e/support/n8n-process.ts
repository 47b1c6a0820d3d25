/**
 * A real n8n for tests: the published program as a child process, with a folder and ports of its own, and
 * with our packed package where a user's n8n has its community packages.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { END_WITH_PARENT, freePort } from '../../support/child.js';
import type { N8nVersion } from './version.js';

const PACKAGE = 'n8n-nodes-code-interpreter';
/** It loads five hundred nodes when it starts, on a machine that may be busy. */
const READY_TIMEOUT_MS = 240_000;
const STOP_TIMEOUT_MS = 40_000;
const POLL_MS = 100;
const TAIL_LINES = 60;

export const OWNER = {
  email: 'owner@example.com',
  firstName: 'Olive',
  lastName: 'Owner',
  password: 'Canvas-and-nodes-1',
} as const;

export interface N8nProcess {
  readonly url: string;
  /** The value of `Cookie` of the signed-in owner. */
  readonly cookie: string;
  readonly logFile: string;
  readonly pid: number;
  logTail(): string;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** Set by scripts/test. */
function given(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set; run these tests by: npm run test:e2e`);
  return value;
}

class Running implements N8nProcess {
  cookie = '';
  readonly logFile: string;
  private child: ChildProcess | undefined;

  constructor(
    private readonly version: N8nVersion,
    private readonly folder: string,
    private readonly port: number,
    private readonly brokerPort: number,
  ) {
    this.logFile = join(folder, 'n8n.log');
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.child?.pid ?? 0;
  }

  /** As npm would unpack it, without packages of its own: n8n brings `n8n-workflow`. */
  install(): void {
    const target = join(this.folder, '.n8n/nodes/node_modules', PACKAGE);
    mkdirSync(target, { recursive: true });
    execFileSync('tar', ['-xzf', given('TEST_N8N_PACKAGE'), '--strip-components=1', '-C', target]);
  }

  async start(): Promise<void> {
    const log = openSync(this.logFile, 'a');
    const program = join(this.version.folder, 'node_modules/n8n/bin/n8n');
    this.child = spawn(process.execPath, ['--import', END_WITH_PARENT, program, 'start'], {
      cwd: this.folder,
      env: this.environment(),
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (!(await this.signIn())) {
      if (this.ended) throw new Error(`n8n ended while it started:\n${this.logTail()}`);
      if (Date.now() > deadline) throw new Error(`n8n did not become ready:\n${this.logTail()}`);
      await sleep(POLL_MS);
    }
  }

  logTail(): string {
    return readFileSync(this.logFile, 'utf8').split('\n').slice(-TAIL_LINES).join('\n');
  }

  async stop(): Promise<void> {
    const { child } = this;
    if (child && !this.ended) {
      child.kill('SIGTERM');
      const deadline = Date.now() + STOP_TIMEOUT_MS;
      while (!this.ended && Date.now() < deadline) await sleep(POLL_MS);
      if (!this.ended) child.kill('SIGKILL');
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  private get ended(): boolean {
    return this.child !== undefined && (this.child.exitCode !== null || this.child.signalCode !== null);
  }

  /** Makes the owner as the first visitor of a new n8n does; false while it is not up yet. */
  private async signIn(): Promise<boolean> {
    try {
      // While it starts it answers every address with 200 and a sentence.
      const settings = await fetch(`${this.url}/rest/settings`, { signal: AbortSignal.timeout(2_000) });
      if (!settings.ok || !settings.headers.get('content-type')?.includes('json')) return false;
    } catch {
      return false;
    }
    const reply = await fetch(`${this.url}/rest/owner/setup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(OWNER),
    });
    if (!reply.ok) throw new Error(`n8n has no owner: ${reply.status} ${await reply.text()}`);
    this.cookie = reply.headers
      .getSetCookie()
      .map((each) => each.split(';')[0])
      .join('; ');
    return true;
  }

  private environment(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: this.folder,
      N8N_USER_FOLDER: this.folder,
      N8N_ENCRYPTION_KEY: 'a-key-for-tests',
      N8N_HOST: '127.0.0.1',
      N8N_LISTEN_ADDRESS: '127.0.0.1',
      N8N_PORT: String(this.port),
      N8N_WEBHOOK_URL: `${this.url}/`,
      N8N_RUNNERS_BROKER_PORT: String(this.brokerPort),
      N8N_SECURE_COOKIE: 'false',
      N8N_DIAGNOSTICS_ENABLED: 'false',
      N8N_VERSION_NOTIFICATIONS_ENABLED: 'false',
      N8N_TEMPLATES_ENABLED: 'false',
      N8N_PERSONALIZATION_ENABLED: 'false',
      N8N_HIRING_BANNER_ENABLED: 'false',
      // Would greet the first visitor of the editor; older ones do not start when they do not know it.
      ...(this.version.name === 'newest' ? { N8N_DISABLED_MODULES: 'instance-ai' } : {}),
      // The first version kept files in the items unless told otherwise.
      N8N_DEFAULT_BINARY_DATA_MODE: 'filesystem',
      // Publishing is noticed by polling.
      N8N_WORKFLOW_PUBLICATION_OUTBOX_POLL_INTERVAL_MS: '200',
      N8N_LOG_LEVEL: process.env['TEST_N8N_LOG_LEVEL'] ?? 'info',
      GENERIC_TIMEZONE: 'UTC',
    };
  }
}

/** Ready, with an owner, when it resolves. Takes half a minute. */
export async function startN8n(version: N8nVersion): Promise<N8nProcess> {
  const folder = mkdtempSync(join(tmpdir(), `code-interpreter-canvas-${process.pid}-`));
  const n8n = new Running(version, folder, await freePort(), await freePort());
  try {
    n8n.install();
    await n8n.start();
    return n8n;
  } catch (error) {
    await n8n.stop();
    throw error;
  }
}
