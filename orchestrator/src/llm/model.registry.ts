/** Which models there are and which adapter speaks for each. */
import { Injectable } from '@nestjs/common';
import type { Llm } from './llm.js';
import { PYTHON_MODEL, PythonLlm } from './python/python.llm.js';

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
  /** Tokens of input and output together; null when unknown. */
  readonly contextTokens: number | null;
  readonly llm: Llm;
}

@Injectable()
export class ModelRegistry {
  private readonly models = new Map<string, Model>();

  constructor() {
    this.add({
      id: PYTHON_MODEL,
      ownedBy: 'code-interpreter',
      createdAt: 1_764_547_200,
      vision: false,
      tools: true,
      contextTokens: null,
      llm: new PythonLlm(),
    });
  }

  add(model: Model): void {
    this.models.set(model.id, model);
  }

  async list(): Promise<readonly Model[]> {
    return [...this.models.values()];
  }

  async find(id: string): Promise<Model | null> {
    return this.models.get(id) ?? null;
  }
}
