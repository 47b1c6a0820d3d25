/** Who is asking, and how handlers say who may. Every handler carries exactly one of these markers or none (= project key). */
import { createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

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

export type Access = 'public' | 'admin' | 'project';

export const ACCESS = 'code-interpreter:access';

/** No key needed: health checks and the like. */
export const Public = () => SetMetadata(ACCESS, 'public' satisfies Access);
/** Needs the admin key. */
export const AdminOnly = () => SetMetadata(ACCESS, 'admin' satisfies Access);

export type RequestWithCaller = FastifyRequest & { caller?: Caller };

/** The caller of a handler that needs a project key (the default). */
export const CurrentProject = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { caller } = context.switchToHttp().getRequest<RequestWithCaller>();
  if (!caller) throw new Error('CurrentProject() used on a handler without a project key');
  return caller;
});
