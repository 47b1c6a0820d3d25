/** Who is asking, and how handlers say who may. Every handler carries exactly one of these markers or none (= project key). */
import { applyDecorators, createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { type Access, markRoute } from '../common/route-config.js';

export type { Access };

/** The project (tenant) behind a key. */
export interface Caller {
  readonly projectId: string;
  readonly keyId: string;
  readonly limits: KeyLimits;
}

/** What the project grants each of its keys; null means the server's default, 0 no limit. */
export interface KeyLimits {
  readonly requestsPerMinute: number | null;
  readonly concurrentRuns: number | null;
}

export const ACCESS = 'code-interpreter:access';

const opensTo = (access: Access) => applyDecorators(SetMetadata(ACCESS, access), markRoute({ access }));

/** No key needed: health checks and the like. */
export const Public = () => opensTo('public');
/** Needs the admin key. */
export const AdminOnly = () => opensTo('admin');

export type RequestWithCaller = FastifyRequest & { caller?: Caller };

/** The caller of a handler that needs a project key (the default). */
export const CurrentProject = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { caller } = context.switchToHttp().getRequest<RequestWithCaller>();
  if (!caller) throw new Error('CurrentProject() used on a handler without a project key');
  return caller;
});
