/** How the tool presents itself to an agent, and what the agent gets back: text, short enough for its context. */
import type { IDataObject } from 'n8n-workflow';
import { linkIfAllowed } from '../shared/links';
import { mimeTypeOf } from '../shared/mime';
import { describeStep, runStep } from '../shared/runCode';
import { keepFiles, openContainer, sessionOf } from '../shared/session';
import type { ProducedFile, RunContext } from '../shared/types';

export const TOOL_NAME = 'run_python';

export const TOOL_DESCRIPTION = `Runs Python code in a sandbox and returns what it printed, the value of the last expression, and the names of the files it made. The session is kept between calls: variables, imports and files are still there. pandas, numpy, scipy, scikit-learn, matplotlib, seaborn, openpyxl and python-docx are installed; there is no network. Save charts and documents to the working directory with a telling name, e.g. plt.savefig("revenue.png"). If a file has a url, the user can open it: show charts as ![title](url) and link other files as [name](url). If the code raises an exception, the traceback is returned: correct the code and call again.`;

export const TOOL_SCHEMA = {
  type: 'object',
  properties: {
    code: { type: 'string', description: 'The Python code to run. Print what you need to see.' },
  },
  required: ['code'],
  additionalProperties: false,
};

export const DEFAULT_LINK_HOURS = 24;

export interface ToolOptions extends IDataObject {
  downloadFiles?: 'all' | 'images' | 'none';
  idleMinutes?: number;
  /** 0 for no links. */
  linkHours?: number;
  memory?: string;
  timeout?: number;
}

export interface ToolRun {
  /** For the agent. */
  json: IDataObject;
  files: ProducedFile[];
}

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

export async function runForAgent(context: RunContext, itemIndex: number, input: unknown): Promise<ToolRun> {
  const code = codeOf(input);
  if (code.trim() === '') {
    const error = 'There was no code to run. Call the tool with the parameter code.';
    return { json: { error }, files: [] };
  }
  const options = context.getNodeParameter('options', itemIndex, {}) as ToolOptions;
  const { containerId, isTemporary } = await openContainer(
    context,
    { mode: 'session', ...sessionOf(context, itemIndex) },
    options,
  );
  const step = await runStep(context, {
    containerId,
    code,
    returns: 'none',
    timeoutMs: (options.timeout ?? 120) * 1000,
  });
  const links = await linksTo(context, step.files, options.linkHours ?? DEFAULT_LINK_HOURS);
  if (isTemporary && links.size > 0) keepFiles(containerId);
  const { stdout, stderr, result, error, notices, state_lost, container_id } = describeStep(step);
  const { traceback } = (error ?? {}) as { traceback?: string };
  const json = {
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
      ...(links.has(id) ? { url: links.get(id) } : {}),
    })),
    container_id,
  };
  return { json, files: step.files };
}

/** ID of a file → its address. Stops asking where the operator has switched links off. */
async function linksTo(
  context: RunContext,
  files: readonly ProducedFile[],
  hours: number,
): Promise<Map<string, string>> {
  const links = new Map<string, string>();
  if (hours <= 0) return links;
  for (const { id } of files) {
    const url = await linkIfAllowed(context, id, hours);
    if (url === undefined) break;
    links.set(id, url);
  }
  return links;
}
