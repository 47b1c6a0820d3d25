/** A response that has ended, with what only the runs of its code know. */
import type { IDataObject } from 'n8n-workflow';
import { NodeApiError } from 'n8n-workflow';
import { type Fault, faultOfResponse, isProgram } from './fault';
import { mimeTypeOf } from './mime';
import { linkFields } from './links';
import { listAll } from './pagination';
import { errorOf } from './runCode';
import { callCount, citedFiles, containerOf, type Ending, hasFigures, raw, simplified } from './responseData';
import type { ApiContext, ExecutionObject, ProducedFile, ResponseObject } from './types';

const MAX_RUNS = 500;

export interface Finished {
  response: ResponseObject;
  files: ProducedFile[];
  /** Why it is no success. */
  fault?: Fault;
  /** Where the response's own status does not tell of the fault. */
  ending?: Ending;
}

/** Asks for the runs of its code only where they say more than the response. */
export async function finishedResponse(context: ApiContext, response: ResponseObject): Promise<Finished> {
  const runs = isProgram(response) || hasFigures(response) ? await runsOf(context, response) : [];
  const last = runs.at(-1);
  const fault = faultOfResponse(response, last);
  return {
    response,
    files: citedFiles(response, runs),
    ...(fault ? { fault } : {}),
    ...(fault && response.status === 'completed'
      ? { ending: { status: 'failed', error: endingError(last, fault) } }
      : {}),
  };
}

/** As Run Python tells it. */
function endingError(run: ExecutionObject | undefined, fault: Fault): IDataObject {
  if (run?.error) return errorOf(run.error);
  return { name: run?.status ?? 'failed', message: fault.message, traceback: null };
}

/** Oldest first; none when their container was deleted. */
async function runsOf(context: ApiContext, response: ResponseObject): Promise<ExecutionObject[]> {
  const containerId = containerOf(response);
  if (callCount(response) === 0 || containerId === null) return [];
  try {
    return await listAll<ExecutionObject>(
      context,
      `/containers/${encodeURIComponent(containerId)}/executions`,
      MAX_RUNS,
      { response_id: response.id, order: 'asc' },
    );
  } catch (error) {
    if (error instanceof NodeApiError && error.httpCode === '404') return [];
    throw new NodeApiError(context.getNode(), error as never);
  }
}

/** For places where binary data would belong to no execution: files come as IDs, and as links if `linkHours` is set. */
export async function withFileIds(
  context: ApiContext,
  finished: Finished,
  { simplify, linkHours }: { simplify: boolean; linkHours?: number | undefined },
): Promise<IDataObject> {
  const files: IDataObject[] = [];
  for (const file of finished.files) {
    files.push({
      id: file.id,
      container_id: file.containerId,
      filename: file.fileName,
      mime_type: mimeTypeOf(file.fileName),
      ...(linkHours === undefined ? {} : await linkFields(context, file.id, linkHours)),
    });
  }
  return shownResponse(finished, files, simplify);
}

export const shownResponse = (
  { response, ending }: Finished,
  files: IDataObject[],
  simplify: boolean,
): IDataObject => (simplify ? simplified(response, files, ending) : raw(response, files, ending));
