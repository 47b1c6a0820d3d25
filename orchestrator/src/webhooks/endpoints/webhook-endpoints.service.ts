/** The endpoints of a project: who is told of which events, and with which secret that is signed. */
import { Inject, Injectable, Logger } from '@nestjs/common';
import { ApiError, notFound } from '../../common/api-error.js';
import { newId } from '../../common/ids.js';
import { type Page, type PageQuery, toPage } from '../../common/pagination.js';
import { ENV } from '../../config/config.module.js';
import type { Env } from '../../config/env.schema.js';
import { SigningSecrets } from '../signing/signing-secrets.js';
import { WebhookTargets } from '../target/target.service.js';
import { presentEndpoint } from './webhook-endpoint.presenter.js';
import { type EndpointRow, WebhookEndpointRepository } from './webhook-endpoint.repository.js';
import type {
  CallbackSecretObject,
  CreateEndpointRequest,
  EndpointObject,
  EndpointWithSecret,
  UpdateEndpointRequest,
} from './webhook-endpoint.schema.js';

const DAY_MS = 24 * 60 * 60_000;

@Injectable()
export class WebhookEndpointsService {
  private readonly logger = new Logger(WebhookEndpointsService.name);

  constructor(
    private readonly endpoints: WebhookEndpointRepository,
    private readonly secrets: SigningSecrets,
    private readonly targets: WebhookTargets,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /** The secret is in this answer and in no other. */
  async create(projectId: string, request: CreateEndpointRequest): Promise<EndpointWithSecret> {
    await this.targets.check(request.url, 'url');
    const id = newId.webhookEndpoint();
    const { signingSecret, ...sealed } = this.secrets.create(id);
    const { url, event_types: events, name = null } = request;
    const max = this.env.WEBHOOK_MAX_ENDPOINTS;
    const row = await this.endpoints.insertWithin(max, { id, projectId, url, events, name, ...sealed });
    if (!row) {
      throw new ApiError(
        'webhook_endpoint_limit_reached',
        `This project has ${max} webhook endpoints, which is the most it may have. Delete one first.`,
      );
    }
    this.logger.log({ endpointId: id, projectId, events }, 'webhook endpoint created');
    return withSecret(row, signingSecret);
  }

  async list(projectId: string, query: PageQuery): Promise<Page<EndpointObject>> {
    const after = query.after === undefined ? undefined : await this.endpoints.find(projectId, query.after);
    if (after === null) throw notFound.cursor();
    const rows = await this.endpoints.list({
      projectId,
      afterSeq: after?.seq,
      limit: query.limit + 1,
      order: query.order,
    });
    return toPage(rows, query.limit, presentEndpoint);
  }

  async retrieve(projectId: string, id: string): Promise<EndpointObject> {
    return presentEndpoint(await this.find(projectId, id));
  }

  /** Enabling one again forgets why the server had disabled it. */
  async update(projectId: string, id: string, request: UpdateEndpointRequest): Promise<EndpointObject> {
    const before = await this.find(projectId, id);
    if (request.url !== undefined) await this.targets.check(request.url, 'url');
    const { event_types: events } = request;
    const row = await this.endpoints.update(projectId, id, {
      ...(request.url === undefined ? {} : { url: request.url }),
      ...(events === undefined ? {} : { events }),
      ...(request.name === undefined ? {} : { name: request.name }),
      ...(request.enabled === true ? { disabledAt: null, disabledReason: null } : {}),
      ...(request.enabled === false ? { disabledAt: before.disabledAt ?? new Date() } : {}),
    });
    if (!row) throw notFound.webhookEndpoint(id);
    return presentEndpoint(row);
  }

  async rotateSecret(projectId: string, id: string, keepOld: boolean): Promise<EndpointWithSecret> {
    const before = await this.find(projectId, id);
    const { signingSecret, ...sealed } = this.secrets.create(id);
    const row = await this.endpoints.update(projectId, id, {
      ...sealed,
      previousSecret: keepOld ? before.secret : null,
      previousSecretUntil: keepOld ? new Date(Date.now() + DAY_MS) : null,
    });
    if (!row) throw notFound.webhookEndpoint(id);
    this.logger.log({ endpointId: id, projectId, keepOld }, 'webhook secret rotated');
    return withSecret(row, signingSecret);
  }

  async remove(projectId: string, id: string): Promise<void> {
    if (!(await this.endpoints.remove(projectId, id))) throw notFound.webhookEndpoint(id);
    this.logger.log({ endpointId: id, projectId }, 'webhook endpoint deleted');
  }

  /** Signs what goes to callback URLs. Unlike others it can be read again: it is in no row. */
  async callbackSecret(projectId: string): Promise<CallbackSecretObject> {
    const version = (await this.endpoints.callbackVersion(projectId)) ?? 0;
    return {
      object: 'webhook_endpoint.callback_secret',
      signing_secret: this.secrets.ofCallbacks(projectId, version),
    };
  }

  async rotateCallbackSecret(projectId: string): Promise<CallbackSecretObject> {
    await this.endpoints.nextCallbackVersion(projectId);
    return this.callbackSecret(projectId);
  }

  private async find(projectId: string, id: string): Promise<EndpointRow> {
    const row = await this.endpoints.find(projectId, id);
    if (!row) throw notFound.webhookEndpoint(id);
    return row;
  }
}

const withSecret = (row: EndpointRow, secret: string): EndpointWithSecret => ({
  ...presentEndpoint(row),
  signing_secret: secret,
});
