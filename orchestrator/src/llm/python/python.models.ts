/** The built-in model as a source of models: it is always there. */
import type { ModelSource } from '../model.registry.js';
import { PYTHON_MODEL, PythonLlm } from './python.llm.js';

export const pythonModels: ModelSource = {
  name: 'code-interpreter',
  configured: [
    {
      id: PYTHON_MODEL,
      ownedBy: 'code-interpreter',
      createdAt: 1_764_547_200,
      vision: false,
      tools: true,
      speaks: false,
      contextTokens: null,
      llm: new PythonLlm(),
    },
  ],
  discovered: async () => [],
};
