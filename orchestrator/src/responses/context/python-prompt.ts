/** What a model is told of the python tool (docs/contract/code-interpreter.md). */
import { visible } from '../../common/text.js';
import type { LlmMessage, LlmTool } from '../../llm/llm.js';

/** The name by which a model calls it. */
export const PYTHON_TOOL = 'python';

export const pythonTool: LlmTool = {
  name: PYTHON_TOOL,
  description:
    'Runs Python code in a stateful Jupyter-like session and returns what it prints, the value of the last expression, tracebacks and figures. ' +
    'Variables, imports and files persist between calls.',
  parameters: {
    type: 'object',
    properties: { code: { type: 'string', description: 'The Python code to run.' } },
    required: ['code'],
    additionalProperties: false,
  },
  strict: null,
};

/** Paths named in the prompt; the model can list the folder for more. */
const MAX_PATHS = 50;

function pythonText(paths: readonly string[], replaced: boolean): string {
  const lines = [
    'You have a tool called python: a stateful Python session, without network access, with pandas, numpy, scipy, scikit-learn, statsmodels, matplotlib, seaborn, plotly, openpyxl, python-docx, python-pptx, pypdf, pillow and about 400 other libraries installed. pip install does not work.',
    'The working directory is /mnt/data. Save files that the user should get there, and link each of them in your answer as [name](sandbox:/mnt/data/name).',
    'Use print() or end a call with an expression to see values. Show figures with plt.show(). When a call raises an exception you get the traceback: correct the code and call again.',
  ];
  if (replaced) {
    lines.push(
      'The container of the earlier turns does not run any more, so this is a new one: variables and imports are lost. The files that were in /mnt/data are there again.',
    );
  }
  if (paths.length > 0) {
    const shown = paths.slice(0, MAX_PATHS).map((path) => `- ${visible(path)}`);
    const more = paths.length > MAX_PATHS ? [`- and ${paths.length - MAX_PATHS} more`] : [];
    lines.push(['Files in /mnt/data:', ...shown, ...more].join('\n'));
  }
  return lines.join('\n\n');
}

/** The system message of this request: how to use python, then the caller's instructions. */
export function instructionsMessage(
  instructions: string | undefined,
  python: { readonly paths: readonly string[]; readonly replaced: boolean } | null,
): LlmMessage[] {
  const parts = [
    ...(python ? [pythonText(python.paths, python.replaced)] : []),
    ...(instructions ? [instructions] : []),
  ];
  return parts.length === 0 ? [] : [{ role: 'system', parts: [{ type: 'text', text: parts.join('\n\n') }] }];
}
