/** One Run Code step: values and code in, a value, outputs and files out. */
import { randomBytes } from 'crypto';
import type { IDataObject } from 'n8n-workflow';
import { hintFor } from './habits';
import { distinctNames } from './names';
import { baseName } from './mime';
import { apiRequest } from './transport';
import type { ExecutionObject, ExecutionOutput, ProducedFile, RunContext } from './types';

/** Milliseconds that the answer may take beyond the time limit of the code: start of a sandbox, storing of files. */
const MARGIN_MS = 120_000;
/** Bytes of JSON; longer inputs go in as a file, because one request may not be as large. */
export const MAX_INLINE = 16_000_000;

export type Returns = 'automatic' | 'result' | 'expression' | 'none';

export interface Step {
  containerId: string;
  code: string;
  returns: Returns;
  timeoutMs?: number;
  /** The names that the code gets; none at all for code that shall find its own as they are. */
  inputs?: Record<string, unknown>;
  /** DataFrames: name → the input with the rows. */
  dataframes?: Record<string, string>;
  /** Called for inputs that are too long for a request. */
  store?: (content: Buffer, fileName: string) => Promise<{ id: string; path: string }>;
}

export interface StepResult {
  execution: ExecutionObject;
  files: ProducedFile[];
}

export async function runStep(context: RunContext, step: Step): Promise<StepResult> {
  const container = `/containers/${encodeURIComponent(step.containerId)}`;
  const { fields, stored } = await inputsOf(step);
  try {
    const execution = await apiRequest<ExecutionObject>(context, {
      method: 'POST',
      path: `${container}/executions`,
      body: {
        code: step.code,
        returns: step.returns,
        ...fields,
        ...(step.dataframes === undefined ? {} : { dataframes: step.dataframes }),
        ...(step.timeoutMs === undefined ? {} : { timeout_ms: step.timeoutMs }),
      },
      timeout: (step.timeoutMs ?? 3_600_000) + MARGIN_MS,
    });
    return { execution, files: producedFiles(execution) };
  } finally {
    for (const id of stored) await removeInput(context, `${container}/files/${encodeURIComponent(id)}`);
  }
}

/** As text, because a request may not hold as many values as a table has. */
async function inputsOf({ inputs, store }: Step): Promise<{ fields: IDataObject; stored: string[] }> {
  const entries = Object.entries(inputs ?? {}).map(([name, value]) => [name, JSON.stringify(value)] as const);
  if (entries.length === 0) return { fields: {}, stored: [] };
  const small = entries.filter(([, json]) => store === undefined || Buffer.byteLength(json) <= MAX_INLINE);
  const large = entries.filter((entry) => !small.includes(entry));
  const paths: IDataObject = {};
  const stored: string[] = [];
  for (const [name, json] of large) {
    const file = await store!(Buffer.from(json), `${name}-${randomBytes(6).toString('hex')}.json`);
    paths[name] = file.path;
    stored.push(file.id);
  }
  const text = small.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(',');
  return {
    fields: { inputs: `{${text}}`, ...(large.length > 0 ? { inputs_from: paths } : {}) },
    stored,
  };
}

/** What the step made is safe by now; that the file of its input stays is no reason to lose it. */
async function removeInput(context: RunContext, path: string): Promise<void> {
  try {
    await apiRequest(context, { method: 'DELETE', path, afterStop: true });
  } catch (error) {
    context.logger.warn('The file with the items of a step was not removed from its container', {
      path,
      reason: (error as Error).message,
    });
  }
}

/** Figures in the order they were shown, then the files that the code wrote. A figure that was saved is there once. */
export function producedFiles(execution: ExecutionObject): ProducedFile[] {
  const written = execution.files.filter(({ change }) => change !== 'deleted');
  const paths = writtenPaths([execution]);
  const images = imagesOf([execution]);
  const shown = images.filter(({ saved_as: path }) => path === undefined || !paths.has(path));
  const figures = shown.map((image, index) => ({
    id: image.file_id,
    containerId: execution.container_id,
    fileName: `${figureName(image.title, index)}.${image.mime_type === 'image/jpeg' ? 'jpg' : 'png'}`,
    bytes: image.bytes,
  }));
  const ids = new Set(images.map(({ file_id: id }) => id));
  const files = written
    .filter(({ id }) => !ids.has(id))
    .map(({ id, path, bytes }) => ({
      id,
      containerId: execution.container_id,
      fileName: baseName(path),
      bytes,
    }));
  return distinctNames([...figures, ...files]);
}

type Image = Extract<ExecutionOutput, { type: 'image' }>;

export const imagesOf = (runs: readonly ExecutionObject[]): Image[] =>
  runs.flatMap(({ outputs }) => outputs.filter((each) => each.type === 'image'));

/** Paths of the files that runs of code left behind. */
export const writtenPaths = (runs: readonly ExecutionObject[]): Set<string> =>
  new Set(
    runs.flatMap(({ files }) => files.filter(({ change }) => change !== 'deleted').map(({ path }) => path)),
  );

/** What people call the chart, without what file systems and mail programs trip over. */
export function figureName(title: string | undefined, index: number): string {
  const name = (title ?? '')
    .replaceAll(/[\p{Cc}\p{Cf}<>:"/\\|?*]+/gu, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replace(/^\.+|\.+$/g, '');
  return name === '' ? `figure-${index + 1}` : Array.from(name).slice(0, 80).join('').trim();
}

const textOf = (outputs: readonly ExecutionOutput[], type: 'stdout' | 'stderr' | 'display'): string =>
  outputs.flatMap((each) => (each.type === type && 'text' in each ? [each.text] : [])).join('');

/** Interrupted code raises an exception as well; what ended it says more. */
const statusOf = ({ status, error }: ExecutionObject): string =>
  status === 'completed' && error !== null ? 'code_error' : status;

/** What the server has to say beside the output: cut text, lost variables, numbers that became text. */
export const noticesOf = ({ outputs }: ExecutionObject): { code: string; message: string }[] =>
  outputs.flatMap((each) => (each.type === 'notice' ? [{ code: each.code, message: each.message }] : []));

/** The step as one JSON object, for people and for agents. */
export function describeStep({ execution }: StepResult): IDataObject {
  const { outputs, error, value } = execution;
  const shown = outputs.flatMap((each) => (each.type === 'result' ? [each.text] : []));
  const notices = noticesOf(execution).map(({ message }) => message);
  const displayed = textOf(outputs, 'display');
  return {
    status: statusOf(execution),
    stdout: textOf(outputs, 'stdout'),
    stderr: textOf(outputs, 'stderr'),
    ...(displayed === '' ? {} : { displayed }),
    result: (value ? value.json : (shown.at(-1) ?? null)) as IDataObject,
    error: error && errorOf(error),
    ...(notices.length === 0 ? {} : { notices }),
    ...(execution.state_lost ? { state_lost: true } : {}),
    container_id: execution.container_id,
    execution_id: execution.id,
    duration_ms: execution.duration_ms,
  };
}

/** An exception as data; with what helps, where people are known to write it by habit. */
export function errorOf({ name, value, traceback }: NonNullable<ExecutionObject['error']>): IDataObject {
  const hint = hintFor(`${name}: ${value}`);
  return { name, message: value, ...(hint === '' ? {} : { hint }), traceback };
}

/** Whether the code came to its end without an exception. */
export const succeeded = ({ execution }: StepResult): boolean =>
  execution.status === 'completed' && execution.error === null;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An item as n8n's own code nodes write it, `{json: {…}}`, or its JSON directly. */
const rowOf = (value: unknown): IDataObject => {
  if (!isObject(value)) return { value: value as IDataObject };
  const keys = Object.keys(value);
  const isWrapped =
    isObject(value.json) && keys.every((key) => ['json', 'binary', 'pairedItem'].includes(key));
  return (isWrapped ? value.json : value) as IDataObject;
};

/** Returned value → JSON of items: a list is one item an entry, everything else is one item. */
export const rowsOf = (value: unknown): IDataObject[] =>
  Array.isArray(value) ? value.map(rowOf) : [rowOf(value)];
