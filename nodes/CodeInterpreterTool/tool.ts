/** What an agent is told about the tool, and what it gets back: text, short enough for its context. */
import type { IDataObject } from 'n8n-workflow';
import { mimeTypeOf } from '../shared/mime';
import { describeStep, runStep } from '../shared/runCode';
import { openContainer, sessionOf } from '../shared/session';
import type { RunContext } from '../shared/types';

export const TOOL_NAME = 'run_python';

export const TOOL_DESCRIPTION = `Runs Python code in a sandbox and returns what it printed, the value of the last expression, and the names of the files it made. The session is kept between calls: variables, imports and files are still there. pandas, numpy, scipy, scikit-learn, matplotlib, seaborn, openpyxl and python-docx are installed; there is no network. Save charts and documents to the working directory with a telling name, e.g. plt.savefig("revenue.png"). If the code raises an exception, the traceback is returned: correct the code and call again.`;

export const TOOL_SCHEMA = {
  type: 'object',
  properties: {
    code: { type: 'string', description: 'The Python code to run. Print what you need to see.' },
  },
  required: ['code'],
  additionalProperties: false,
};

/** Characters of each text that an agent gets to see. */
export const MAX_SHOWN = 12_000;

/** The head and the tail, with a word on what is missing. */
export function shortened(text: string, most = MAX_SHOWN): string {
  if (text.length <= most) return text;
  const head = text.slice(0, Math.ceil(most * 0.6));
  const tail = text.slice(text.length - Math.floor(most * 0.4));
  return `${head}\n… (${text.length - most} characters left out) …\n${tail}`;
}

/** Code may come bare, as an object, or fenced, depending on the model. */
export function codeOf(input: unknown): string {
  const given = typeof input === 'string' ? input : (input as { code?: unknown } | null)?.code;
  const text = typeof given === 'string' ? given : '';
  const fenced = /^\s*```(?:python|py)?[ \t]*\n([\s\S]*?)\n?```\s*$/i.exec(text);
  return fenced?.[1] ?? text;
}

export async function runForAgent(
  context: RunContext,
  itemIndex: number,
  input: unknown,
): Promise<IDataObject> {
  const code = codeOf(input);
  if (code.trim() === '')
    return { error: 'There was no code to run. Call the tool with the parameter code.' };
  const options = context.getNodeParameter('options', itemIndex, {}) as IDataObject;
  const { containerId } = await openContainer(
    context,
    { mode: 'session', ...sessionOf(context, itemIndex) },
    { memory: options.memory as string, idleMinutes: options.idleMinutes as number },
  );
  const step = await runStep(context, {
    containerId,
    code,
    returns: 'none',
    timeoutMs: ((options.timeout as number | undefined) ?? 120) * 1000,
  });
  const { stdout, stderr, result, error, notices, state_lost, container_id } = describeStep(step);
  const { traceback } = (error ?? {}) as { traceback?: string };
  return {
    stdout: shortened(String(stdout)),
    ...(stderr ? { stderr: shortened(String(stderr), MAX_SHOWN / 3) } : {}),
    ...(result === null ? {} : { result: shortened(String(result)) }),
    ...(traceback ? { error: shortened(traceback) } : {}),
    ...(notices ? { notices } : {}),
    ...(state_lost ? { state_lost } : {}),
    files: step.files.map(({ id, fileName }) => ({
      id,
      filename: fileName,
      mime_type: mimeTypeOf(fileName),
    })),
    container_id,
  };
}
