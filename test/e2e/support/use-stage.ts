/** The stage as test files use it. */
import { inject } from 'vitest';
import type { ScriptedTurn } from '../../fakes/model-endpoint/script.js';
import { Api } from '../../support/api.js';
import { showLogOnFailure } from '../../support/project.js';
import { N8n } from './n8n-client.js';
import { CREDENTIAL, MODEL } from './names.js';
import type {} from './stage.js';

/** Tells the model what to say next. */
async function script(modelUrl: string, turns: readonly ScriptedTurn[]): Promise<void> {
  const reply = await fetch(new URL('/control/scripts', modelUrl), {
    method: 'POST',
    body: JSON.stringify({ model: MODEL, turns }),
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
  script(...turns: readonly ScriptedTurn[]): Promise<void>;
}

/** The stage as a test file uses it; call it once, outside tests. */
export function useStage(): Stage {
  const at = inject('stage');
  showLogOnFailure(() => ({ logFile: at.serverLog }));
  showLogOnFailure(() => ({ logFile: at.n8nLog }));
  return {
    n8n: new N8n(at.n8nUrl, at.cookie),
    api: new Api(at.serverUrl, at.apiKey),
    credentials: { codeInterpreterApi: { id: at.credentialId, name: CREDENTIAL } },
    modelUrl: at.modelUrl,
    serverUrl: at.serverUrl,
    script: (...turns) => script(at.modelUrl, turns),
  };
}
