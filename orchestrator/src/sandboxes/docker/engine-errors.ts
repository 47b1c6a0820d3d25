/** The one seam where the engine's failures become the port's errors. Nobody above sees dockerode. */
import { SandboxError, type SandboxErrorCode } from '../sandbox.driver.js';

/** What the engine's answer means, whatever was asked. */
export type EngineFailure = 'unreachable' | 'refused' | 'absent' | 'conflict' | 'failed' | 'unknown';

export type EngineOperation = 'ask' | 'create' | 'start' | 'checkpoint' | 'find' | 'remove';

const codes: Readonly<Record<EngineOperation, Readonly<Record<EngineFailure, SandboxErrorCode>>>> = {
  ask: {
    unreachable: 'engine_unavailable',
    refused: 'engine_unavailable',
    absent: 'not_found',
    conflict: 'engine_unavailable',
    failed: 'engine_unavailable',
    unknown: 'engine_unavailable',
  },
  create: {
    unreachable: 'engine_unavailable',
    refused: 'start_failed',
    absent: 'start_failed',
    conflict: 'start_failed',
    failed: 'start_failed',
    unknown: 'start_failed',
  },
  start: {
    unreachable: 'engine_unavailable',
    refused: 'start_failed',
    absent: 'start_failed',
    conflict: 'start_failed',
    failed: 'start_failed',
    unknown: 'start_failed',
  },
  checkpoint: {
    unreachable: 'engine_unavailable',
    refused: 'start_failed',
    absent: 'gone',
    conflict: 'gone',
    failed: 'start_failed',
    unknown: 'start_failed',
  },
  find: {
    unreachable: 'engine_unavailable',
    refused: 'engine_unavailable',
    absent: 'gone',
    conflict: 'engine_unavailable',
    failed: 'engine_unavailable',
    unknown: 'engine_unavailable',
  },
  remove: {
    unreachable: 'engine_unavailable',
    refused: 'engine_unavailable',
    absent: 'gone',
    conflict: 'engine_unavailable',
    failed: 'engine_unavailable',
    unknown: 'engine_unavailable',
  },
};

function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

export function classify(error: unknown): EngineFailure {
  const status = statusOf(error);
  if (status === undefined) {
    // No status: the connection failed, before the engine could answer. Those errors carry a code.
    return error instanceof Error && 'code' in error ? 'unreachable' : 'unknown';
  }
  if (status === 404) return 'absent';
  if (status === 409) return 'conflict';
  if (status >= 500) return 'failed';
  return status >= 400 ? 'refused' : 'unknown';
}

const MAX_MESSAGE_CHARS = 400;

/** dockerode prefixes `(HTTP code 409) conflict - `. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text
    .replace(/^\(HTTP code \d+\) .*? - /, '')
    .trim()
    .slice(0, MAX_MESSAGE_CHARS);
}

/** That says nothing of the sandbox, the image or whatever else it was asked about. */
export function isEngineAway(error: unknown): boolean {
  return error instanceof SandboxError && error.code === 'engine_unavailable';
}

export function toEngineError(operation: EngineOperation, error: unknown): SandboxError {
  const failure = classify(error);
  const message =
    failure === 'unreachable'
      ? `the Docker engine cannot be reached: ${messageOf(error)}`
      : `the Docker engine could not ${operation} the sandbox: ${messageOf(error)}`;
  return new SandboxError(codes[operation][failure], message, { cause: error });
}
