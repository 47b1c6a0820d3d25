/** What the door must know of a route before it reads a body: markers of handlers, put where Fastify hands them over. */
import { FASTIFY_ROUTE_CONFIG_METADATA } from '@nestjs/platform-fastify/constants.js';

export type Access = 'public' | 'admin' | 'project';

export interface RouteMarks {
  /** Whose key opens it; a project's when absent. */
  readonly access?: Access;
  /** Refused while the server drains. */
  readonly newWork?: boolean;
  /** Takes a run slot whatever its body says, so that a key without a free one is refused before the body. */
  readonly alwaysRuns?: boolean;
  /** Its JSON body may hold files or code, and be as large as `MAX_BODY_BYTES`. */
  readonly largeBody?: boolean;
}

type Marked = (target: object, key?: string | symbol, descriptor?: PropertyDescriptor) => void;

function addTo(handler: object, marks: RouteMarks, own: boolean): void {
  const before = (Reflect.getMetadata(FASTIFY_ROUTE_CONFIG_METADATA, handler) ?? {}) as RouteMarks;
  const merged = own ? { ...before, ...marks } : { ...marks, ...before };
  Reflect.defineMetadata(FASTIFY_ROUTE_CONFIG_METADATA, merged, handler);
}

/** Above a handler, or above a controller for all handlers that do not say otherwise themselves. */
export function markRoute(marks: RouteMarks): Marked {
  return (target, _key, descriptor) => {
    if (descriptor) {
      addTo(descriptor.value as object, marks, true);
      return;
    }
    const { prototype } = target as { prototype: object };
    for (const { value } of Object.values(Object.getOwnPropertyDescriptors(prototype)))
      if (typeof value === 'function' && value !== target) addTo(value as object, marks, false);
  };
}

/** Above a handler whose JSON body may hold files, code or long texts; others take `SMALL_BODY_BYTES` at most. */
export const LargeBody = (): Marked => markRoute({ largeBody: true });

/** Most bytes of a JSON body where neither files nor code can be in it. */
export const SMALL_BODY_BYTES = 1024 * 1024;

/** The marks of the route a request was given to; none for paths that no route takes. */
export const marksOf = (request: { readonly routeOptions: { readonly config?: unknown } }): RouteMarks =>
  (request.routeOptions.config ?? {}) as RouteMarks;
