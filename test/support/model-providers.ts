/** The model endpoints of the server that the tests of the loop share. */

/** Must never be seen outside the process that was told it. */
export const MODEL_KEY = 'sk-upstream-key-that-nobody-may-see';

/** `loop`, `seeing` (has vision), `plain` (no tools), `narrow` (1 500 tokens); `keyless` has a wrong key. */
export function modelProviders(baseUrl: string, key: string): unknown[] {
  const provider = {
    name: 'fake',
    base_url: baseUrl,
    api_key: key,
    models: [
      'loop',
      { id: 'seeing', vision: true },
      { id: 'plain', tools: false },
      { id: 'narrow', context_tokens: 1_500 },
    ],
    max_retries: 1,
    timeout_ms: 20_000,
  };
  return [provider, { ...provider, name: 'locked', api_key: 'sk-the-wrong-key-0123', models: ['keyless'] }];
}
