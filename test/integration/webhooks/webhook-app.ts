/** The whole server with a receiver that it calls, for the tests of deliveries. */
import { afterAll, beforeAll } from 'vitest';
import { WebhookReceiver } from '../../fakes/webhook-receiver/receiver.js';
import { eventually } from '../../support/api.js';
import { type AdminApp, type Answer, type Body, startAdminApp } from '../admin/admin-app.js';

export const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];
export const RESPONSE_EVENTS = ['completed', 'failed', 'cancelled', 'incomplete'].map(
  (each) => `response.${each}`,
);

export class WebhookApp {
  readonly receiver = new WebhookReceiver();
  /** Of the project that asks, until the next `newProject` or `listen`. */
  key = '';
  private started: AdminApp | undefined;
  private paths = 0;

  get server(): AdminApp {
    if (!this.started) throw new Error('there is no server yet');
    return this.started;
  }

  async start(): Promise<void> {
    await this.receiver.start();
    this.started = await startAdminApp({ WEBHOOK_MAX_ATTEMPTS: '2', WEBHOOK_TIMEOUT_MS: '1000' });
  }

  async stop(): Promise<void> {
    await this.started?.stop();
    await this.receiver.stop();
  }

  /** A path that no other test uses. */
  path(): string {
    return `/hook-${++this.paths}`;
  }

  async newProject(): Promise<void> {
    ({ key: this.key } = await this.server.project());
  }

  /** A project of its own with one endpoint. */
  async listen(events: readonly string[] = RESPONSE_EVENTS) {
    await this.newProject();
    const path = this.path();
    const { body } = await this.post('/webhook_endpoints', {
      url: this.receiver.url(path),
      event_types: events,
    });
    return { path, id: body.id, secret: String(body['signing_secret']) };
  }

  get(path: string): Promise<Answer> {
    return this.server.ask(this.key, 'GET', `/v1${path}`);
  }

  post(path: string, body: unknown, as = this.key): Promise<Answer> {
    return this.server.ask(as, 'POST', `/v1${path}`, body);
  }

  async respond(fields: object = {}): Promise<Body> {
    const reply = await this.post('/responses', {
      model: 'python',
      input: 'print:1',
      tools: TOOLS,
      ...fields,
    });
    if (reply.status !== 200) throw new Error(reply.text);
    return reply.body;
  }

  async deliveries(query: string): Promise<readonly Body[]> {
    return (await this.server.admin('GET', `/admin/v1/webhook_deliveries?${query}`)).body.data;
  }

  async delivery(id: string): Promise<Body> {
    return (await this.server.admin('GET', `/admin/v1/webhook_deliveries/${id}`)).body;
  }

  /** Waits until there are such deliveries and all have this status. */
  settled(query: string, status: string): Promise<readonly Body[]> {
    return eventually(
      () => this.deliveries(query),
      (found) => found.length > 0 && found.every((each) => each['status'] === status),
    );
  }
}

/** Call it once in a test file. */
export function useWebhookApp(): WebhookApp {
  const app = new WebhookApp();
  beforeAll(() => app.start());
  afterAll(() => app.stop());
  return app;
}
