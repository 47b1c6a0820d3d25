/** The models of one configured endpoint: those that are named, and those it lists when asked. */
import { Logger } from '@nestjs/common';
import type { ModelEntry, ModelProvider, ModelSettings } from '../../config/model-providers.js';
import type { Model, ModelSource } from '../model.registry.js';
import { ChatCompletionsLlm } from './chat-completions.llm.js';
import { Endpoint } from './endpoint.js';
import { judge } from './upstream-fault.js';

const FRESH_MS = 60_000;
/** An endpoint that could not be asked is asked again after this time. */
const RETRY_MS = 10_000;
const ASK_TIMEOUT_MS = 10_000;
const MAX_DISCOVERED = 5_000;
/** Characters of a name that a pattern may fit. */
const MAX_ID = 300;

const SETTINGS = [
  'context_tokens',
  'vision',
  'tools',
  'reasoning_tags',
  'reasoning_field',
  'max_tokens_field',
  'defaults',
] as const satisfies readonly (keyof ModelSettings)[];

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isOpenAi = (baseUrl: string): boolean => /(^|\.)openai\.com$/.test(new URL(baseUrl).hostname);

/** What some endpoints tell about a model beside its name (vLLM, OpenRouter, LM Studio). */
function hintsOf(listed: Fields): ModelSettings {
  const context = listed['max_model_len'] ?? listed['context_length'] ?? listed['max_context_length'];
  const architecture = isFields(listed['architecture']) ? listed['architecture'] : {};
  const inputs: unknown = architecture['input_modalities'];
  const parameters: unknown = listed['supported_parameters'];
  return {
    ...(typeof context === 'number' && context > 0 ? { context_tokens: Math.floor(context) } : {}),
    ...(Array.isArray(inputs) ? { vision: inputs.includes('image') } : {}),
    ...(Array.isArray(parameters) ? { tools: parameters.includes('tools') } : {}),
  };
}

export class ProviderModels implements ModelSource {
  readonly name: string;
  readonly configured: readonly Model[];
  /** Entries with a `*` in their id. */
  private readonly patterns: readonly ModelEntry[];
  private readonly logger = new Logger('Models');
  private readonly endpoint: Endpoint;
  private readonly bootedAt = Math.floor(Date.now() / 1000);
  private known: readonly Model[] = [];
  private staleAt = 0;
  private asking: Promise<void> | null = null;

  constructor(private readonly provider: ModelProvider) {
    this.name = provider.name;
    this.endpoint = new Endpoint(provider);
    const entries = provider.models.map((entry) => (typeof entry === 'string' ? { id: entry } : entry));
    this.configured = entries.filter(({ id }) => !id.includes('*')).map((entry) => this.model(entry));
    this.patterns = entries.filter(({ id }) => id.includes('*'));
  }

  /** The first pattern that fits decides. */
  matching(id: string): Model | null {
    if (id.length > MAX_ID) return null;
    for (const entry of this.patterns) {
      const [before = '', after = ''] = entry.id.split('*');
      const fits = id.length > before.length + after.length && id.startsWith(before) && id.endsWith(after);
      if (!fits) continue;
      const rest = id.slice(before.length, id.length - after.length);
      const upstream = (entry.upstream ?? entry.id).replace('*', () => rest);
      return this.model({ ...entry, id, upstream });
    }
    return null;
  }

  async discovered(waitMs: number): Promise<readonly Model[]> {
    if (!this.provider.discover) return [];
    if (Date.now() >= this.staleAt) {
      this.asking ??= this.ask().finally(() => {
        this.asking = null;
      });
      let timer: NodeJS.Timeout | undefined;
      const enough = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, waitMs);
      });
      await Promise.race([this.asking, enough]);
      clearTimeout(timer);
    }
    return this.known;
  }

  /** Never rejects: what was known before is kept. */
  private async ask(): Promise<void> {
    try {
      const list = await this.endpoint.models(Math.min(ASK_TIMEOUT_MS, this.provider.timeout_ms));
      const data: unknown = isFields(list) ? (list['data'] ?? list['models']) : list;
      const own = new Set(this.configured.map((model) => model.id));
      const listed = (Array.isArray(data) ? data : []).filter(isFields).slice(0, MAX_DISCOVERED);
      this.known = listed.flatMap((each) => {
        const id = each['id'];
        return typeof id === 'string' && id !== '' && !own.has(id) ? [this.listedModel(id, each)] : [];
      });
      this.staleAt = Date.now() + FRESH_MS;
    } catch (error) {
      this.staleAt = Date.now() + RETRY_MS;
      this.logger.warn({ provider: this.name }, `its models cannot be listed: ${this.explain(error)}`);
    }
  }

  private explain(error: unknown): string {
    try {
      return judge(error, { provider: this.name, model: '' }, this.endpoint.redact).error.message;
    } catch {
      return this.endpoint.redact(error instanceof Error ? error.message : String(error));
    }
  }

  private listedModel(id: string, listed: Fields): Model {
    const { created } = listed;
    const model = this.model({ id, ...hintsOf(listed) });
    return typeof created === 'number' ? { ...model, createdAt: Math.floor(created) } : model;
  }

  /** What a model says of itself wins over what the provider says of all. */
  private setting<K extends keyof ModelSettings>(entry: ModelEntry, key: K): ModelSettings[K] {
    return (entry as ModelSettings)[key] ?? (this.provider as ModelSettings)[key];
  }

  private model(entry: ModelEntry): Model {
    const settings = Object.fromEntries(
      SETTINGS.map((key) => [key, this.setting(entry, key)]),
    ) as ModelSettings;
    const { provider } = this;
    return {
      id: entry.id,
      ownedBy: provider.name,
      createdAt: this.bootedAt,
      vision: settings.vision ?? false,
      tools: settings.tools ?? true,
      speaks: true,
      contextTokens: settings.context_tokens ?? null,
      llm: new ChatCompletionsLlm(this.endpoint, {
        model: entry.id,
        upstream: entry.upstream ?? entry.id,
        maxTokensField:
          settings.max_tokens_field ?? (isOpenAi(provider.base_url) ? 'max_completion_tokens' : 'max_tokens'),
        reasoningField: settings.reasoning_field,
        reasoningTags: settings.reasoning_tags,
        defaults: { ...provider.defaults, ...entry.defaults },
      }),
    };
  }
}
