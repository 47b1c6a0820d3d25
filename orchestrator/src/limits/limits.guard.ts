import {
  applyDecorators,
  type CanActivate,
  type ExecutionContext,
  Injectable,
  SetMetadata,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply } from 'fastify';
import type { RequestWithCaller } from '../auth/caller.js';
import { Door } from '../auth/door.js';
import { markRoute } from '../common/route-config.js';
import { RequestRates } from './request-rates.js';
import { RunSlots } from './run-slots.js';

const RUN = 'code-interpreter:run';

/**
 * Above a handler that runs code or asks a model while its caller waits: it counts as a run of the key.
 * `maybeLater` for those whose body may ask for the background instead, where the slot comes later.
 */
export const CountsAsRun = (options: { readonly maybeLater?: boolean } = {}) =>
  applyDecorators(SetMetadata(RUN, true), markRoute({ alwaysRuns: options.maybeLater !== true }));

/**
 * Global guard behind the one that asks for the key: takes the run slot, which only the body can tell.
 * Rates, and keys without a free slot, are refused at the door. Requests without a project's key are not limited.
 */
@Injectable()
export class LimitsGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly rates: RequestRates,
    private readonly slots: RunSlots,
    door: Door,
  ) {
    door.set('rate', (request, reply, { alwaysRuns }) => this.count(request, reply, alwaysRuns === true));
  }

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const request = http.getRequest<RequestWithCaller>();
    const { caller } = request;
    if (!caller) return true;
    const isRun = this.reflector.get<boolean | undefined>(RUN, context.getHandler()) === true;
    if (isRun && !isBackground(request.body)) {
      const { raw } = http.getResponse<FastifyReply>();
      const release = this.slots.take(caller);
      // Whichever comes: the reply is complete, or its connection is gone, perhaps while the body came in.
      raw.once('finish', release).once('close', release);
      if (raw.destroyed) release();
    }
    return true;
  }

  private count({ caller }: RequestWithCaller, reply: FastifyReply, alwaysRuns: boolean): void {
    if (!caller) return;
    const { headers, refuse } = this.rates.count(caller);
    void reply.headers({ ...headers });
    if (refuse) throw refuse;
    if (alwaysRuns) this.slots.assertFree(caller);
  }
}

/** What runs in the background takes its slot when its turn comes. */
const isBackground = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && (body as { background?: unknown }).background === true;
