/** Tells a wrong method (405) from an unknown path (404); Fastify itself answers 404 to both. */
import type { FastifyInstance } from 'fastify';
import { ApiError } from '../common/api-error.js';

interface Route {
  readonly method: string;
  readonly pattern: RegExp;
}

const toPattern = (url: string): RegExp =>
  new RegExp(
    `^${url
      .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
      .replace(/:[A-Za-z_]+/g, '[^/]+')
      .replace(/\\\*$/, '.*')}/?$`,
  );

export class RouteTable {
  private readonly routes: Route[] = [];

  /** Must be called before the routes are registered. */
  watch(fastify: FastifyInstance): void {
    fastify.addHook('onRoute', (route) => {
      for (const method of [route.method].flat()) this.routes.push({ method, pattern: toPattern(route.url) });
    });
  }

  /** Methods this path answers to, other than HEAD and OPTIONS. */
  allowed(path: string): string[] {
    const methods = this.routes.filter((route) => route.pattern.test(path)).map((route) => route.method);
    return [...new Set(methods)].filter((method) => method !== 'HEAD' && method !== 'OPTIONS');
  }

  /** What to answer when no route takes the request. */
  missing(method: string, path: string): ApiError {
    const allowed = this.allowed(path).join(', ');
    if (allowed === '') return new ApiError('not_found', `Invalid URL (${method} ${path})`);
    const message = `Not allowed to ${method} on ${path}. Allowed: ${allowed}.`;
    return new ApiError('method_not_allowed', message, { headers: { allow: allowed } });
  }
}
