/** The whole server with fake sandboxes and a fake model endpoint, and with leases that tests can wait for. */
import { ModelEndpoint } from '../../fakes/model-endpoint/server.js';
import { type AdminApp, type Answer, startAdminApp } from '../admin/admin-app.js';

/** Seconds. */
export const LEASE = 1;

export const TOOLS = [{ type: 'code_interpreter', container: { type: 'auto' } }];

export interface ModelApp extends AdminApp {
  readonly model: ModelEndpoint;
  /** Asks for a response of the fake model with this name. */
  respond(key: string, name: string, body?: object): Promise<Answer>;
}

/** `models`: one for each test, so that their scripts do not meet. `settings`: of their provider. */
export async function startModelApp(models: readonly string[], settings: object = {}): Promise<ModelApp> {
  const model = new ModelEndpoint();
  await model.start();
  const provider = {
    name: 'fake',
    base_url: model.url,
    models,
    max_retries: 0,
    timeout_ms: 60_000,
    ...settings,
  };
  const server = await startAdminApp({
    MODEL_PROVIDERS: JSON.stringify([provider]),
    RESPONSE_LEASE_SECONDS: String(LEASE),
  });
  return {
    ...server,
    model,
    respond: (key, name, body = {}) =>
      server.ask(key, 'POST', '/v1/responses', { model: name, input: 'go', ...body }),
    stop: async () => {
      await server.stop();
      await model.stop();
    },
  };
}
