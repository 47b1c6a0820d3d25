/**
 * What all end-to-end tests share, started once: a model endpoint that plays scripts, the real server with
 * gVisor that asks it, and a real n8n with our package. It lives in the main process of the runner.
 */
import type { TestProject } from 'vitest/node';
import { ModelEndpoint } from '../../fakes/model-endpoint/server.js';
import { startServer, type TestServer } from '../../support/server.js';
import { N8n } from './n8n-client.js';
import { CREDENTIAL, MODEL } from './names.js';
import { type N8nProcess, startN8n } from './n8n-process.js';
import { n8nOf, type N8nVersion } from './version.js';

export interface StageAddresses {
  readonly version: N8nVersion;
  readonly n8nUrl: string;
  readonly cookie: string;
  readonly n8nLog: string;
  readonly serverUrl: string;
  readonly serverLog: string;
  readonly apiKey: string;
  readonly modelUrl: string;
  /** Of a working Code Interpreter API credential in n8n. */
  readonly credentialId: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    readonly stage: StageAddresses;
  }
}

/** Anything that is to be stopped, newest first. */
const started: { stop(): Promise<void> }[] = [];

async function startOrchestrator(model: ModelEndpoint): Promise<TestServer> {
  const provider = { name: 'fake', base_url: model.url, api_key: 'sk-fake', models: [MODEL], max_retries: 0 };
  const server = await startServer({
    name: 'stage',
    env: { SANDBOX_POOL: '1g=2', MODEL_PROVIDERS: JSON.stringify([provider]), MAX_FILE_BYTES: '300m' },
  });
  started.unshift(server);
  return server;
}

async function startCanvas(version: N8nVersion): Promise<N8nProcess> {
  const n8n = await startN8n(version);
  started.unshift(n8n);
  return n8n;
}

/** Called by vitest once before the first test file. */
export async function setup(project: TestProject): Promise<void> {
  const version = n8nOf(project.name);
  const model = await new ModelEndpoint().start();
  started.unshift(model);
  const [orchestrator, process] = await Promise.allSettled([startOrchestrator(model), startCanvas(version)]);
  if (orchestrator.status === 'rejected' || process.status === 'rejected') {
    await teardown();
    throw orchestrator.status === 'rejected'
      ? orchestrator.reason
      : (process as PromiseRejectedResult).reason;
  }
  const { value: server } = orchestrator;
  const { value: canvas } = process;
  const n8n = new N8n(canvas.url, canvas.cookie, version);
  const credentialId = await n8n.addCredential(CREDENTIAL, 'codeInterpreterApi', {
    baseUrl: server.url,
    apiKey: server.apiKey,
  });
  project.provide('stage', {
    version,
    n8nUrl: canvas.url,
    cookie: canvas.cookie,
    n8nLog: canvas.logFile,
    serverUrl: server.url,
    serverLog: server.logFile,
    apiKey: server.apiKey,
    modelUrl: model.url,
    credentialId,
  });
}

/** Called by vitest after the last one. */
export async function teardown(): Promise<void> {
  for (const each of started.splice(0)) await each.stop();
}
