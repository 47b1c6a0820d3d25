/** Waiting for a background response, with an eye on its time limit and on the Stop button. */
import { NodeOperationError, sleep } from 'n8n-workflow';
import type { IExecuteFunctions } from 'n8n-workflow';
import { apiRequest } from './transport';
import type { ApiContext, ResponseObject } from './types';

export const INCLUDE_OUTPUTS = ['code_interpreter_call.outputs'];
const TERMINAL: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled', 'incomplete']);
const FIRST_PAUSE_MS = 250;
const GROWTH = 1.6;

export const isTerminal = (response: ResponseObject): boolean => TERMINAL.has(response.status);

export interface PollOptions {
  timeoutMs: number;
  /** The longest pause between two questions; the first ones are shorter. */
  intervalMs: number;
  itemIndex: number;
  /** Called when Stop has cancelled the response. */
  cancelled?(response: ResponseObject): Promise<void>;
}

export const getResponse = async (context: ApiContext, id: string): Promise<ResponseObject> =>
  await apiRequest<ResponseObject>(context, {
    method: 'GET',
    path: `/responses/${encodeURIComponent(id)}`,
    qs: { 'include[]': INCLUDE_OUTPUTS[0] },
  });

/** Asks until the response has ended. Stopping the execution cancels it on the server. */
export async function waitForResponse(
  context: IExecuteFunctions,
  started: ResponseObject,
  { timeoutMs, intervalMs, itemIndex, cancelled }: PollOptions,
): Promise<ResponseObject> {
  const signal = context.getExecutionCancelSignal?.();
  const deadline = Date.now() + timeoutMs;
  let response = started;
  let pause = FIRST_PAUSE_MS;
  context.onExecutionCancellation?.(async () => {
    if (isTerminal(response)) return;
    const stopped = await cancelAfterStop(context, started.id);
    if (stopped !== undefined) await cancelled?.(stopped);
  });
  while (!isTerminal(response)) {
    const left = deadline - Date.now();
    if (left <= 0) {
      throw new NodeOperationError(
        context.getNode(),
        `The response was still ${response.status} after ${Math.round(timeoutMs / 1000)} seconds [item ${itemIndex}]`,
        {
          description: `It goes on in the background. Raise 'Timeout' in the options, or read it later with the operation 'Wait for Completion' and the ID ${started.id}.`,
          itemIndex,
        },
      );
    }
    await sleep(Math.min(pause, left), signal);
    pause = Math.min(pause * GROWTH, intervalMs);
    response = await getResponse(context, started.id);
  }
  return response;
}

/** Nobody waits for this one, so it must not fail. */
async function cancelAfterStop(context: IExecuteFunctions, id: string): Promise<ResponseObject | undefined> {
  try {
    return await apiRequest<ResponseObject>(context, {
      method: 'POST',
      path: cancelPath(id),
      afterStop: true,
    });
  } catch (error) {
    context.logger.warn('A response was not cancelled when the execution was stopped', {
      responseId: id,
      reason: (error as Error).message,
    });
    return undefined;
  }
}

const cancelPath = (id: string): string => `/responses/${encodeURIComponent(id)}/cancel`;

export async function cancelResponse(context: IExecuteFunctions, id: string): Promise<ResponseObject> {
  return await apiRequest<ResponseObject>(context, {
    method: 'POST',
    path: cancelPath(id),
  });
}
