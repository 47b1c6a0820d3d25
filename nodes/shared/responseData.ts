/** A response as the next node wants it: the answer, the code that ran, the files. */
import type { IDataObject } from 'n8n-workflow';
import type { Citation, ProducedFile, ResponseObject } from './types';

interface TextPart {
  type: string;
  text?: string;
  refusal?: string;
  annotations?: Citation[];
}
interface MessageItem {
  type: string;
  content?: TextPart[];
}
interface CallItem {
  type: string;
  code: string | null;
  container_id: string;
  status: string;
  outputs: { type: string; logs?: string }[] | null;
}

const parts = (response: ResponseObject): TextPart[] =>
  (response.output as unknown as MessageItem[])
    .filter(({ type }) => type === 'message')
    .flatMap(({ content }) => content ?? []);

const calls = (response: ResponseObject): CallItem[] =>
  (response.output as unknown as CallItem[]).filter(({ type }) => type === 'code_interpreter_call');

export const outputText = (response: ResponseObject): string =>
  parts(response)
    .map((part) => (part.type === 'output_text' ? (part.text ?? '') : (part.refusal ?? '')))
    .join('');

/** The files that the answer links, each once. The server links every file that the code made. */
export function citedFiles(response: ResponseObject): ProducedFile[] {
  const found = new Map<string, ProducedFile>();
  const citations = parts(response).flatMap(({ annotations }) => annotations ?? []);
  for (const { type, container_id: containerId, file_id: id, filename } of citations) {
    if (type !== 'container_file_citation' || !containerId || !id || found.has(id)) continue;
    found.set(id, { id, containerId, fileName: filename ?? id });
  }
  return figuresNamed([...found.values()]);
}

/** Figures that were shown, not saved, are stored under their ID: they get a name for people. */
function figuresNamed(files: ProducedFile[]): ProducedFile[] {
  let figures = 0;
  return files.map((file) => {
    const match = /^cfile_[0-9a-f]+\.(png|jpe?g)$/.exec(file.fileName);
    return match ? { ...file, fileName: `figure-${++figures}.${match[1]}` } : file;
  });
}

export function containerOf(response: ResponseObject): string | null {
  const call = calls(response).at(-1);
  return call?.container_id ?? citedFiles(response).at(0)?.containerId ?? null;
}

/** Ten fields that matter of more than thirty. */
export function simplified(response: ResponseObject, files: IDataObject[]): IDataObject {
  return {
    id: response.id,
    status: response.status,
    model: response.model,
    output_text: outputText(response),
    ...parsedOutput(response),
    container_id: containerOf(response),
    code_runs: calls(response).map(({ code, outputs, status }) => ({
      code,
      output: (outputs ?? []).map(({ logs }) => logs ?? '').join(''),
      status,
    })),
    files,
    usage: (response.usage ?? null) as IDataObject,
    error: (response.error ?? response.incomplete_details ?? null) as unknown as IDataObject,
  };
}

/** Where the answer was asked for as JSON, it comes parsed too. */
function parsedOutput(response: ResponseObject): IDataObject {
  const format = (response.text as { format?: { type?: string } } | undefined)?.format?.type;
  if (format !== 'json_schema' && format !== 'json_object') return {};
  try {
    return { output_json: JSON.parse(outputText(response)) as IDataObject };
  } catch {
    return { output_json: null };
  }
}

/** The whole object with `output_text`, and without pictures as text: they come as files. */
export function raw(response: ResponseObject, files: IDataObject[]): IDataObject {
  const output = response.output.map((item) => {
    const { outputs } = item as unknown as CallItem;
    if (!Array.isArray(outputs)) return item;
    return { ...item, outputs: outputs.filter(({ type }) => type !== 'image') };
  });
  return {
    ...response,
    output,
    output_text: outputText(response),
    container_id: containerOf(response),
    files,
  };
}
