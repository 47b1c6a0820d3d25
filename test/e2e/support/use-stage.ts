/** The stage as test files use it. */
import { inject } from 'vitest';
import type { RecordedRequest, ScriptedTurn } from '../../fakes/model-endpoint/script.js';
import { Api } from '../../support/api.js';
import { showLogOnFailure } from '../../support/project.js';
import { N8n } from './n8n-client.js';
import { CREDENTIAL, MODEL } from './names.js';
import type {} from './stage.js';

/** Tells a model what to say next. */
async function script(modelUrl: string, model: string, turns: readonly ScriptedTurn[]): Promise<void> {
  const reply = await fetch(new URL('/control/scripts', modelUrl), {
    method: 'POST',
    body: JSON.stringify({ model, turns }),
  });
  if (!reply.ok) throw new Error(await reply.text());
}

export interface Stage {
  readonly n8n: N8n;
  readonly api: Api;
  /** For the `credentials` of our nodes. */
  readonly credentials: { readonly codeInterpreterApi: { readonly id: string; readonly name: string } };
  readonly modelUrl: string;
  readonly serverUrl: string;
  /** What the server's model says next. */
  script(...turns: readonly ScriptedTurn[]): Promise<void>;
  /** The same for a model that n8n asks directly, at `modelUrl`. */
  scriptFor(model: string, ...turns: readonly ScriptedTurn[]): Promise<void>;
  /** What a model was asked, oldest first. */
  asked(model: string): Promise<readonly RecordedRequest['body'][]>;
}

/** The stage as a test file uses it; call it once, outside tests. */
export function useStage(): Stage {
  const at = inject('stage');
  showLogOnFailure(() => ({ logFile: at.serverLog }));
  showLogOnFailure(() => ({ logFile: at.n8nLog }));
  return {
    n8n: new N8n(at.n8nUrl, at.cookie, at.version),
    api: new Api(at.serverUrl, at.apiKey),
    credentials: { codeInterpreterApi: { id: at.credentialId, name: CREDENTIAL } },
    modelUrl: at.modelUrl,
    serverUrl: at.serverUrl,
    script: (...turns) => script(at.modelUrl, MODEL, turns),
    scriptFor: (model, ...turns) => script(at.modelUrl, model, turns),
    asked: async (model) => {
      const reply = await fetch(new URL('/control/requests', at.modelUrl));
      const { data } = (await reply.json()) as { readonly data: readonly RecordedRequest[] };
      return data.map(({ body }) => body).filter((body) => body.model === model);
    },
  };
}
