/** Which container a step works in. The server makes the container of a session key when it is first asked for. */
import { createHash } from 'crypto';
import { NodeOperationError } from 'n8n-workflow';
import type { IDataObject, IExecuteFunctions } from 'n8n-workflow';
import { apiRequest, pathId } from './transport';
import type { ApiContext, ContainerObject, RunContext } from './types';

export type SessionScope = 'execution' | 'workflow' | 'chat' | 'custom';

export type ContainerChoice =
  | { mode: 'new' }
  | { mode: 'id'; id: string }
  | { mode: 'session'; scope: SessionScope; key: string };

const MAX_KEY = 256;

export interface Surroundings {
  instanceId: string;
  workflowId: string;
  executionId: string;
  chatSessionId: string;
  customKey: string;
}

/** The key of a session, apart from those of every other n8n instance and workflow. Custom keys are shared by the workflows of an instance. */
export function sessionKey(scope: SessionScope, at: Surroundings): string {
  const parts: Record<SessionScope, string[]> = {
    execution: [at.workflowId, 'execution', at.executionId],
    workflow: [at.workflowId, 'workflow'],
    chat: [at.workflowId, 'chat', at.chatSessionId],
    custom: ['custom', at.customKey],
  };
  const key = ['n8n', at.instanceId, ...parts[scope]].join(':');
  if (key.length <= MAX_KEY) return key;
  const digest = createHash('sha256').update(key).digest('hex');
  return `${key.slice(0, MAX_KEY - digest.length - 1)}:${digest}`;
}

/** The execution as a key: the same in all nodes of a run. Unsaved test runs have no ID before they are saved. */
function surroundings(context: RunContext, itemIndex: number): Surroundings {
  return {
    instanceId: context.getInstanceId().slice(0, 16),
    workflowId: context.getWorkflow().id ?? 'unsaved',
    executionId: context.getExecutionId() ?? 'unsaved',
    chatSessionId: String(context.getNodeParameter('chatSessionId', itemIndex, '') ?? '').trim(),
    customKey: String(context.getNodeParameter('sessionKey', itemIndex, '') ?? '').trim(),
  };
}

/** Reads the parameters of `containerFields`. */
export function containerChoice(context: IExecuteFunctions, itemIndex: number): ContainerChoice {
  const mode = context.getNodeParameter('container', itemIndex) as ContainerChoice['mode'];
  switch (mode) {
    case 'new':
      return { mode };
    case 'id':
      return { mode, id: containerIdOf(context, itemIndex) };
    default:
      return { mode: 'session', ...sessionOf(context, itemIndex) };
  }
}

export function containerIdOf(context: IExecuteFunctions, itemIndex: number): string {
  const id = String(context.getNodeParameter('containerId', itemIndex, '', { extractValue: true }) ?? '');
  return decodeURIComponent(pathId(context.getNode(), 'Container', id, itemIndex));
}

export function sessionOf(context: RunContext, itemIndex: number): { scope: SessionScope; key: string } {
  const scope = context.getNodeParameter('session', itemIndex, 'execution') as SessionScope;
  const at = surroundings(context, itemIndex);
  const missing =
    scope === 'custom'
      ? at.customKey === '' && 'Session Key'
      : scope === 'chat' && at.chatSessionId === '' && 'Chat Session ID';
  if (missing) {
    throw new NodeOperationError(context.getNode(), `'${missing}' is empty [item ${itemIndex}]`, {
      description:
        scope === 'chat'
          ? 'Use the session ID of a Chat Trigger, e.g. {{ $json.sessionId }}, or choose another session.'
          : 'Enter any text; steps with the same text share a container.',
      itemIndex,
    });
  }
  return { scope, key: sessionKey(scope, at) };
}

const nameOf = (context: RunContext): string => {
  const { name, id } = context.getWorkflow();
  return `n8n: ${name ?? id ?? 'workflow'}`.slice(0, 256);
};

export interface ContainerSettings {
  memory?: string;
  idleMinutes?: number;
  name?: string;
}

export function createBody(
  context: RunContext,
  { memory, idleMinutes, name }: ContainerSettings,
): IDataObject {
  return {
    name: name || nameOf(context),
    ...(memory ? { memory_limit: memory } : {}),
    ...(idleMinutes ? { expires_after: { anchor: 'last_active_at', minutes: idleMinutes } } : {}),
  };
}

export interface Place {
  containerId: string;
  /** Made for this step alone: the step removes it, unless something that goes out needs it. */
  isNew: boolean;
  /** Removed by this step or at the end of the execution. */
  isTemporary: boolean;
}

/** The running container of a choice; for `new` and `session` it is made where needed. Stop removes a new one. */
export async function openContainer(
  context: RunContext,
  choice: ContainerChoice,
  settings: ContainerSettings,
): Promise<Place> {
  if (choice.mode === 'id') return { containerId: choice.id, isNew: false, isTemporary: false };
  const { id } = await apiRequest<ContainerObject>(context, {
    method: 'POST',
    path: '/containers',
    body: {
      ...createBody(context, settings),
      ...(choice.mode === 'session' ? { session_key: choice.key } : {}),
    },
    timeout: 120_000,
  });
  const isNew = choice.mode === 'new';
  const isOfExecution = choice.mode === 'session' && choice.scope === 'execution';
  if (isNew) context.onExecutionCancellation?.(() => removeContainer(context, id));
  if (isOfExecution) removeWhenFinished(context, id);
  // Versions of n8n without the hook leave it to the server, which lets it expire.
  const isTemporary = isNew || (isOfExecution && context.onExecutionFinish !== undefined);
  return { containerId: id, isNew, isTemporary };
}

/** Frees the memory of a container as soon as the execution ends; otherwise it would idle for its lifetime. */
export function removeWhenFinished(context: RunContext, containerId: string): void {
  context.onExecutionFinish?.(() => removeContainer(context, containerId));
}

/** Containers whose files are needed longer than they. All steps of an execution run in one process. */
const keptFiles = new Set<string>();
const MOST_KEPT = 10_000;

/** Called by steps that give out links: what ends the container then leaves its files, whichever step does it. */
export function keepFiles(containerId: string): void {
  keptFiles.add(containerId);
  const [oldest] = keptFiles;
  if (keptFiles.size > MOST_KEPT && oldest !== undefined) keptFiles.delete(oldest);
}

/** For one that is not needed any more, nor are its files, unless a step has given out links to them. */
export const removeContainer = async (context: RunContext, containerId: string): Promise<void> => {
  if (keptFiles.has(containerId)) await expireContainer(context, containerId);
  else await endContainer(context, { method: 'DELETE', path: pathOf(containerId) });
};

/** Frees the memory; files stay, for whoever has their IDs and for the chat that goes on. */
export const expireContainer = async (context: ApiContext, containerId: string): Promise<void> =>
  await endContainer(context, { method: 'POST', path: `${pathOf(containerId)}/expire` });

const pathOf = (containerId: string): string => `/containers/${encodeURIComponent(containerId)}`;

/** Never fails, for a container expires by itself. */
async function endContainer(
  context: ApiContext,
  request: { method: 'DELETE' | 'POST'; path: string },
): Promise<void> {
  try {
    await apiRequest(context, { ...request, afterStop: true });
  } catch (error) {
    // Another step of the same execution was first, or the server is gone.
    context.logger.debug('A container was not ended; it expires by itself', {
      ...request,
      reason: (error as Error).message,
    });
  }
}

/** Agents run a node under the type `…Tool`: they read JSON only, and want faults as data. */
export const isToolCall = (context: RunContext): boolean => context.getNode().type.endsWith('Tool');
