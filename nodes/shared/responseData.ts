/** A response as the next node wants it: the answer, the code that ran, the files. */
import type { IDataObject } from 'n8n-workflow';
import { distinctNames } from './names';
import { figureName, imagesOf, writtenPaths } from './runCode';
import type { Citation, ExecutionObject, ProducedFile, ResponseObject } from './types';

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

const said = (response: ResponseObject): string =>
  parts(response)
    .map((part) => (part.type === 'output_text' ? (part.text ?? '') : (part.refusal ?? '')))
    .join('');

const SANDBOX_LINK = /!?\[([^\]\n]*)\]\(sandbox:(?:[^()\n]|\([^()\n]*\))*\)/g;
const SANDBOX_PATH = /sandbox:\/mnt\/data\/(?=\S)/g;

/** The answer. Links into the sandbox lead nowhere from a mail or a chat, so only their text is left. */
export const outputText = (response: ResponseObject): string =>
  said(response).replace(SANDBOX_LINK, '$1').replace(SANDBOX_PATH, '');

/**
 * The files that the answer links, each once: the server links every file that the code made. `runs` know what
 * figures are called, and which of them the code saved to a file as well.
 */
export function citedFiles(response: ResponseObject, runs: readonly ExecutionObject[] = []): ProducedFile[] {
  const found = new Map<string, ProducedFile>();
  const citations = parts(response).flatMap(({ annotations }) => annotations ?? []);
  for (const { type, container_id: containerId, file_id: id, filename } of citations) {
    if (type !== 'container_file_citation' || !containerId || !id || found.has(id)) continue;
    found.set(id, { id, containerId, fileName: filename ?? id });
  }
  const images = new Map(imagesOf(runs).map((image) => [image.file_id, image]));
  const written = writtenPaths(runs);
  let figures = 0;
  const files = [...found.values()].flatMap((file) => {
    const image = images.get(file.id);
    if (image?.saved_as !== undefined && written.has(image.saved_as)) return [];
    const extension = FIGURE.exec(file.fileName)?.[1];
    if (extension === undefined) return [file];
    return [{ ...file, fileName: `${figureName(image?.title, figures++)}.${extension}` }];
  });
  return distinctNames(files);
}

/** Figures that were shown, not saved, are stored under their ID. */
const FIGURE = /^cfile_[0-9a-f]+\.(png|jpe?g)$/;

export const hasFigures = (response: ResponseObject): boolean =>
  parts(response).some(({ annotations }) =>
    (annotations ?? []).some(({ filename }) => FIGURE.test(filename ?? '')),
  );

/** How often the response ran code. */
export const callCount = (response: ResponseObject): number => calls(response).length;

export function containerOf(response: ResponseObject): string | null {
  const call = calls(response).at(-1);
  return call?.container_id ?? citedFiles(response).at(0)?.containerId ?? null;
}

/** What a response ended with, where its own status does not say it. */
export interface Ending {
  status: string;
  error: IDataObject | null;
}

const endingOf = (response: ResponseObject): Ending => ({
  status: response.status,
  error: (response.error ?? response.incomplete_details ?? null) as unknown as IDataObject | null,
});

/** Ten fields that matter of more than thirty. */
export function simplified(
  response: ResponseObject,
  files: IDataObject[],
  { status, error }: Ending = endingOf(response),
): IDataObject {
  return {
    id: response.id,
    status,
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
    error,
  };
}

/** Where the answer was asked for as JSON, it comes parsed too. */
function parsedOutput(response: ResponseObject): IDataObject {
  const format = (response.text as { format?: { type?: string } } | undefined)?.format?.type;
  if (format !== 'json_schema' && format !== 'json_object') return {};
  try {
    return { output_json: JSON.parse(said(response)) as IDataObject };
  } catch {
    return { output_json: null };
  }
}

/** The whole object with `output_text`, and without pictures as text: they come as files. */
export function raw(
  response: ResponseObject,
  files: IDataObject[],
  ending: Ending = endingOf(response),
): IDataObject {
  const output = response.output.map((item) => {
    const { outputs } = item as unknown as CallItem;
    if (!Array.isArray(outputs)) return item;
    return { ...item, outputs: outputs.filter(({ type }) => type !== 'image') };
  });
  return {
    ...response,
    ...(ending.status === response.status ? {} : ending),
    output,
    output_text: outputText(response),
    container_id: containerOf(response),
    files,
  };
}
