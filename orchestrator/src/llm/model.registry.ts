/** Which models there are, under which names, and which adapter speaks for each. */
import type { Llm } from './llm.js';

export interface Model {
  /** As clients name it. */
  readonly id: string;
  readonly ownedBy: string;
  /** Unix seconds. */
  readonly createdAt: number;
  /** Whether figures may be sent to it as images. */
  readonly vision: boolean;
  /** Whether it can call functions; without that it cannot use the code interpreter. */
  readonly tools: boolean;
  /** Whether it can be asked for text, such as a summary; the built-in model only runs programs. */
  readonly speaks: boolean;
  /** Tokens of input and output together; null when unknown. */
  readonly contextTokens: number | null;
  readonly llm: Llm;
}

/** Implemented by adapters; ids are the source's own and may clash with those of another. */
export interface ModelSource {
  /** Stands before the slash where an id alone is ambiguous. */
  readonly name: string;
  /** Known without asking anybody. */
  readonly configured: readonly Model[];
  /** A model whose name fits a pattern of the source; null when none does. Asked when nothing else is found. */
  readonly matching?: (id: string) => Model | null;
  /** What the source finds by asking, `configured` left out. Resolves within `waitMs`, never rejects. */
  readonly discovered: (waitMs: number) => Promise<readonly Model[]>;
}

/** The list never waits longer for an endpoint. */
const LIST_WAIT_MS = 2_000;
/** A model that nobody configured may be worth a longer wait. */
const FIND_WAIT_MS = 10_000;
const DEFAULT = 'default';

interface Offer {
  readonly source: string;
  readonly model: Model;
}

/** Names offers: an id that two of them have goes to neither; both get `source/id`. */
function nameOffers(offers: readonly Offer[], taken: ReadonlyMap<string, Model>): Model[] {
  const counts = new Map<string, number>();
  for (const { model } of offers) counts.set(model.id, (counts.get(model.id) ?? 0) + 1);
  return offers.map(({ source, model }) =>
    counts.get(model.id) === 1 && !taken.has(model.id) ? model : { ...model, id: `${source}/${model.id}` },
  );
}

export interface RegistryOptions {
  /** Id of the model that stands behind `default`; without one the registry chooses. */
  readonly defaultModel?: string | undefined;
}

/**
 * The built-in sources keep their ids whatever is configured, and configured models keep theirs
 * whatever an endpoint lists, so that a name never changes its meaning while the server runs.
 */
export class ModelRegistry {
  private readonly fixed = new Map<string, Model>();

  constructor(
    private readonly builtIn: ModelSource,
    private readonly sources: readonly ModelSource[] = [],
    private readonly options: RegistryOptions = {},
  ) {
    for (const model of builtIn.configured) this.fixed.set(model.id, model);
    const offers = sources.flatMap(({ name, configured }) =>
      configured.map((model) => ({ source: name, model })),
    );
    for (const model of nameOffers(offers, this.fixed)) this.fixed.set(model.id, model);
  }

  async list(): Promise<readonly Model[]> {
    const models = await this.all(LIST_WAIT_MS);
    const standIn = this.standIn(models);
    return [...models.values(), ...(standIn && !models.has(DEFAULT) ? [{ ...standIn, id: DEFAULT }] : [])];
  }

  /** By the id that the list shows, by `provider/id`, or `default`, which yields the model behind it. */
  async find(id: string): Promise<Model | null> {
    const known = this.fixed.get(id);
    if (known) return known;
    const configured = this.qualified(id, (source) => source.configured);
    if (configured) return configured;
    const { defaultModel } = this.options;
    const all = await this.all(FIND_WAIT_MS);
    const found = all.get(id) ?? (id === DEFAULT ? this.standIn(all) : null);
    if (found) return found;
    if (id === DEFAULT && defaultModel !== undefined && defaultModel !== DEFAULT)
      return this.find(defaultModel);
    const lists = new Map(
      await Promise.all(this.sources.map(async (source) => [source, await source.discovered(0)] as const)),
    );
    return this.qualified(id, (source) => lists.get(source) ?? []) ?? this.matching(id);
  }

  /**
   * The model behind `default`: the one the operator named; else the first one configured that can run code; else
   * the only one an endpoint lists; and without any endpoint the built-in one. Null where nothing is better than another.
   */
  private standIn(all: ReadonlyMap<string, Model>): Model | null {
    const { defaultModel } = this.options;
    if (defaultModel !== undefined)
      return all.get(defaultModel) ?? this.qualified(defaultModel, (source) => source.configured);
    if (this.sources.length === 0) return this.builtIn.configured[0] ?? null;
    const builtIn = new Set(this.builtIn.configured.map(({ id }) => id));
    const usable = [...all.values()].filter(({ id, tools }) => tools && !builtIn.has(id));
    const configured = usable.find(({ id }) => this.fixed.has(id));
    return configured ?? (usable.length === 1 ? usable[0]! : null);
  }

  /** By a pattern: of the source that is named before the slash, else of the first that has one. */
  private matching(id: string): Model | null {
    for (const source of this.sources) {
      const prefix = `${source.name}/`;
      const model =
        (id.startsWith(prefix) ? source.matching?.(id.slice(prefix.length)) : null) ?? source.matching?.(id);
      if (model) return { ...model, id };
    }
    return null;
  }

  private qualified(id: string, modelsOf: (source: ModelSource) => readonly Model[]): Model | null {
    const source = this.sources.find(({ name }) => id.startsWith(`${name}/`));
    const model = source && modelsOf(source).find((each) => `${source.name}/${each.id}` === id);
    return model ? { ...model, id } : null;
  }

  private async all(waitMs: number): Promise<Map<string, Model>> {
    const lists = await Promise.all(this.sources.map((source) => source.discovered(waitMs)));
    const offers = lists.flatMap((list, index) =>
      list.map((model) => ({ source: this.sources[index]!.name, model })),
    );
    const all = new Map(this.fixed);
    for (const model of nameOffers(offers, this.fixed)) if (!all.has(model.id)) all.set(model.id, model);
    return all;
  }
}
