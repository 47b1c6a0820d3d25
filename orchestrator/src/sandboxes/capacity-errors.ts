/** What a client is told when there is no sandbox for it. */
import { ApiError } from '../common/api-error.js';

/** Seconds a refused client is asked to wait. */
const RETRY_AFTER_SECONDS = 10;

/** 503 with `retry-after`. */
export function noCapacity(message: string, cause?: unknown): ApiError {
  return new ApiError('sandbox_capacity', message, {
    cause,
    headers: { 'retry-after': String(RETRY_AFTER_SECONDS) },
  });
}

export function couldNotStart(cause: unknown): ApiError {
  return noCapacity(
    'The sandbox could not be started right now. Please retry; the operator finds the reason in the server log.',
    cause,
  );
}
