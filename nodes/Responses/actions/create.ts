import { NodeOperationError } from 'n8n-workflow';
import type { IExecuteFunctions, INodeExecutionData } from 'n8n-workflow';
import { finishedResponse } from '../../shared/finishedResponse';
import type { Operation } from '../../shared/operation';
import { waitForResponse } from '../../shared/poll';
import { containerOf } from '../../shared/responseData';
import { expireContainer, isToolCall, removeWhenFinished } from '../../shared/session';
import { apiRequest } from '../../shared/transport';
import type { ResponseObject } from '../../shared/types';
import { createFields, DEFAULT_INTERVAL_SECONDS, DEFAULT_TIMEOUT_SECONDS } from './createFields';
import { failIfAsked, present } from './output';
import { type CreateOptions, createRequest, isContainerOurs } from './request';
import { timedOut } from './resumed';

async function execute(context: IExecuteFunctions, itemIndex: number): Promise<INodeExecutionData[]> {
  const options = context.getNodeParameter('options', itemIndex, {}) as CreateOptions;
  const timeoutMs = (options.timeout ?? DEFAULT_TIMEOUT_SECONDS) * 1000;
  const wanted = context.getNodeParameter('runMode', itemIndex, 'poll') as string;
  // An agent waits for its tools; it cannot be put to sleep in the middle.
  const runMode = isToolCall(context) && wanted === 'callback' ? 'poll' : wanted;
  if (runMode === 'callback') return await releaseExecution(context, itemIndex, timeoutMs);
  const { body, choice } = await createRequest(context, itemIndex);
  const started = await apiRequest<ResponseObject>(context, {
    method: 'POST',
    path: '/responses',
    body: runMode === 'connection' ? body : { ...body, background: true },
    timeout: runMode === 'connection' ? timeoutMs : undefined,
  });
  if (runMode === 'start') return await present(context, { response: started, files: [] }, itemIndex);
  const release = async (ended: ResponseObject): Promise<void> => {
    const containerId = containerOf(ended);
    if (containerId !== null && isContainerOurs(choice.mode, options))
      await expireContainer(context, containerId);
  };
  const response = await waitForResponse(context, started, {
    timeoutMs,
    intervalMs: (options.pollInterval ?? DEFAULT_INTERVAL_SECONDS) * 1000,
    itemIndex,
    cancelled: release,
  });
  const containerId = containerOf(response);
  if (choice.mode === 'session' && choice.scope === 'execution' && containerId !== null) {
    removeWhenFinished(context, containerId);
  }
  // A later step may go on from this answer; of many answers none is kept that long.
  const isOneOfMany = context.getInputData().length > 1;
  if (!isOneOfMany) context.onExecutionFinish?.(() => release(response));
  try {
    const finished = await finishedResponse(context, response);
    failIfAsked(context, finished, itemIndex);
    return await present(context, finished, itemIndex);
  } finally {
    if (isOneOfMany) await release(response);
  }
}

/** The execution sleeps in n8n's database until the server calls its resume URL. One wait an execution. */
async function releaseExecution(
  context: IExecuteFunctions,
  itemIndex: number,
  timeoutMs: number,
): Promise<INodeExecutionData[]> {
  if (context.getInputData().length > 1) {
    throw new NodeOperationError(context.getNode(), "This 'Run Mode' takes one item, and several came in", {
      description:
        "An execution can wait once. Put a Loop Over Items node in front, or choose 'Wait (Polling)' in 'Run Mode'.",
      itemIndex,
    });
  }
  const { $execution } = context.getWorkflowDataProxy(itemIndex) as { $execution?: { resumeUrl?: string } };
  const callbackUrl = $execution?.resumeUrl;
  if (!callbackUrl) {
    throw new NodeOperationError(context.getNode(), 'This execution has no address to be called back at', {
      description: "Choose 'Wait (Polling)' in 'Run Mode'.",
      itemIndex,
    });
  }
  const { body } = await createRequest(context, itemIndex);
  const started = await apiRequest<ResponseObject>(context, {
    method: 'POST',
    path: '/responses',
    body: { ...body, background: true, callback_url: callbackUrl },
  });
  context.setMetadata({ resumeUrl: callbackUrl });
  await context.putExecutionToWait(new Date(Date.now() + timeoutMs));
  const json = timedOut(started.id, timeoutMs);
  const item = context.getInputData()[itemIndex];
  if (item) {
    item.json = json;
    delete item.binary;
  }
  return [{ json, pairedItem: { item: itemIndex } }];
}

export const create: Operation = { description: createFields, execute };
