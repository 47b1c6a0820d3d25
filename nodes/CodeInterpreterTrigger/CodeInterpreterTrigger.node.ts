import { NodeApiError, NodeConnectionTypes, NodeOperationError } from 'n8n-workflow';
import type {
  IDataObject,
  IHookFunctions,
  INodeType,
  INodeTypeDescription,
  IWebhookFunctions,
  IWebhookResponseData,
} from 'n8n-workflow';
import { codeInterpreterApiTest } from '../shared/credentialTest';
import { finishedResponse, withFileIds } from '../shared/finishedResponse';
import { getResponse } from '../shared/poll';
import { apiRequest } from '../shared/transport';
import { isGenuine } from './signature';

interface Registration extends IDataObject {
  endpointId?: string;
  secret?: string;
}

interface Endpoint {
  id: string;
  url: string;
  /** In the answer to its creation only. */
  signing_secret?: string;
}

const isGone = (error: unknown): boolean => error instanceof NodeApiError && error.httpCode === '404';

export class CodeInterpreterTrigger implements INodeType {
  description: INodeTypeDescription = {
    displayName: 'Code Interpreter Trigger',
    name: 'codeInterpreterTrigger',
    icon: { light: 'file:../icons/codeInterpreter.svg', dark: 'file:../icons/codeInterpreter.dark.svg' },
    group: ['trigger'],
    version: 1,
    subtitle: '={{ $parameter["events"].join(", ") }}',
    description: 'Starts the workflow when a response ends or a container expires',
    defaults: { name: 'Code Interpreter Trigger' },
    inputs: [],
    outputs: [NodeConnectionTypes.Main],
    credentials: [{ name: 'codeInterpreterApi', required: true, testedBy: 'codeInterpreterApiTest' }],
    webhooks: [{ name: 'default', httpMethod: 'POST', responseMode: 'onReceived', path: 'webhook' }],
    properties: [
      {
        displayName: 'Events',
        name: 'events',
        type: 'multiOptions',
        default: ['response.completed'],
        required: true,
        description: 'The events that start the workflow',
        options: [
          {
            name: 'Container Expired',
            value: 'container.expired',
            description: 'A container was idle for too long',
          },
          {
            name: 'Response Cancelled',
            value: 'response.cancelled',
            description: 'A response was cancelled',
          },
          { name: 'Response Completed', value: 'response.completed', description: 'A response has finished' },
          {
            name: 'Response Failed',
            value: 'response.failed',
            description: 'A response ended without an answer',
          },
          {
            name: 'Response Incomplete',
            value: 'response.incomplete',
            description: 'A response was cut off by a limit',
          },
        ],
      },
      {
        displayName: 'Get Response',
        name: 'getResponse',
        type: 'boolean',
        default: true,
        description: 'Whether to get the response with its text and files. Otherwise only its ID is output.',
      },
      {
        displayName: 'Simplify',
        name: 'simplify',
        type: 'boolean',
        default: true,
        description: 'Whether to return a simplified version of the response instead of the raw data',
        displayOptions: { show: { getResponse: [true] } },
      },
    ],
  };

  methods = { credentialTest: { codeInterpreterApiTest } };

  webhookMethods = {
    default: {
      async checkExists(this: IHookFunctions): Promise<boolean> {
        const stored = this.getWorkflowStaticData('node') as Registration;
        if (!stored.endpointId) return false;
        try {
          const endpoint = await apiRequest<Endpoint>(this, {
            method: 'GET',
            path: `/webhook_endpoints/${encodeURIComponent(stored.endpointId)}`,
          });
          return endpoint.url === this.getNodeWebhookUrl('default');
        } catch (error) {
          if (!isGone(error)) throw new NodeApiError(this.getNode(), error as never);
          this.logger.debug('The webhook is no longer known to the server', {
            endpointId: stored.endpointId,
          });
          return false;
        }
      },

      async create(this: IHookFunctions): Promise<boolean> {
        const events = this.getNodeParameter('events') as string[];
        if (events.length === 0) {
          throw new NodeOperationError(this.getNode(), "'Events' is empty", {
            description: 'Choose which events start the workflow.',
          });
        }
        const endpoint = await apiRequest<Endpoint>(this, {
          method: 'POST',
          path: '/webhook_endpoints',
          body: {
            url: this.getNodeWebhookUrl('default'),
            event_types: events,
            name: `n8n: ${this.getWorkflow().name ?? 'workflow'}`.slice(0, 256),
          },
        });
        const stored = this.getWorkflowStaticData('node') as Registration;
        stored.endpointId = endpoint.id;
        stored.secret = endpoint.signing_secret;
        return true;
      },

      async delete(this: IHookFunctions): Promise<boolean> {
        const stored = this.getWorkflowStaticData('node') as Registration;
        if (!stored.endpointId) return true;
        try {
          await apiRequest(this, {
            method: 'DELETE',
            path: `/webhook_endpoints/${encodeURIComponent(stored.endpointId)}`,
          });
        } catch (error) {
          if (!isGone(error)) throw new NodeApiError(this.getNode(), error as never);
          this.logger.debug('The webhook was gone already', { endpointId: stored.endpointId });
        }
        delete stored.endpointId;
        delete stored.secret;
        return true;
      },
    },
  };

  async webhook(this: IWebhookFunctions): Promise<IWebhookResponseData> {
    const { secret } = this.getWorkflowStaticData('node') as Registration;
    const headers = this.getHeaderData();
    const header = (name: string): string => String(headers[name] ?? '');
    const request = this.getRequestObject() as unknown as { rawBody?: Buffer };
    const isSigned =
      secret !== undefined &&
      request.rawBody !== undefined &&
      isGenuine(secret, {
        id: header('webhook-id'),
        timestamp: header('webhook-timestamp'),
        signature: header('webhook-signature'),
        body: request.rawBody,
      });
    if (!isSigned) {
      this.getResponseObject().status(401).json({ message: 'Invalid signature.' });
      return { noWebhookResponse: true };
    }
    const { type, created_at: createdAt, data } = this.getBodyData();
    const { id } = (data ?? {}) as { id?: string };
    const event: IDataObject = { event: type, created_at: createdAt, delivery_id: header('webhook-id') };
    const wantsResponse = String(type).startsWith('response.') && typeof id === 'string';
    if (!wantsResponse || this.getNodeParameter('getResponse', true) !== true) {
      return { workflowData: [[{ json: { ...event, id } }]] };
    }
    const finished = await finishedResponse(this, await getResponse(this, id));
    const json = await withFileIds(this, finished, {
      simplify: this.getNodeParameter('simplify', true) as boolean,
    });
    return { workflowData: [[{ json: { ...event, ...json } }]] };
  }
}
