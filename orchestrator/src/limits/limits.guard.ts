import { type CanActivate, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyReply } from 'fastify';
import type { RequestWithCaller } from '../auth/caller.js';
import { RequestRates } from './request-rates.js';
import { RunSlots } from './run-slots.js';

const RUN = 'code-interpreter:run';

/** Above a handler that runs code or asks a model while its caller waits: it counts as a run of the key. */
export const CountsAsRun = () => SetMetadata(RUN, true);

/** Global guard behind the one that asks for the key. Requests without a project's key are not limited. */
@Injectable()
export class LimitsGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly rates: RequestRates,
    private readonly slots: RunSlots,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const http = context.switchToHttp();
    const request = http.getRequest<RequestWithCaller>();
    const { caller } = request;
    if (!caller) return true;
    const reply = http.getResponse<FastifyReply>();
    const { headers, refuse } = this.rates.count(caller);
    void reply.headers({ ...headers });
    if (refuse) throw refuse;
    const isRun = this.reflector.get<boolean | undefined>(RUN, context.getHandler()) === true;
    if (isRun && !isBackground(request.body)) {
      const release = this.slots.take(caller);
      // Whichever comes: the reply is complete, or its connection is gone.
      reply.raw.once('finish', release).once('close', release);
    }
    return true;
  }
}

/** What runs in the background takes its slot when its turn comes. */
const isBackground = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && (body as { background?: unknown }).background === true;
