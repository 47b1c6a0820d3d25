/** Translates what the supervisor refuses (sandbox/README.md, `failed`) into the port's errors. */
import { SandboxError, type SandboxErrorCode } from '../sandbox.driver.js';
import type { FrameHeader } from './frame-codec.js';

type SupervisorFailure =
  | 'bad_request'
  | 'not_found'
  | 'not_a_file'
  | 'invalid_path'
  | 'no_space'
  | 'changed'
  | 'too_large'
  | 'aborted'
  | 'busy'
  | 'internal';

const codes: Readonly<Record<SupervisorFailure, SandboxErrorCode>> = {
  bad_request: 'protocol',
  not_found: 'not_found',
  not_a_file: 'not_a_file',
  invalid_path: 'invalid_path',
  no_space: 'no_space',
  changed: 'changed',
  too_large: 'too_large',
  // Only ever the answer to a host that gave an upload up, and has its own reason for it.
  aborted: 'changed',
  busy: 'busy',
  internal: 'protocol',
};

const MAX_MESSAGE_CHARS = 500;

function isFailure(code: unknown): code is SupervisorFailure {
  return typeof code === 'string' && Object.hasOwn(codes, code);
}

export function toSandboxError(failed: FrameHeader): SandboxError {
  const message = typeof failed.message === 'string' ? failed.message : 'no message';
  const text = message.toWellFormed().slice(0, MAX_MESSAGE_CHARS);
  if (isFailure(failed.code)) return new SandboxError(codes[failed.code], text);
  return new SandboxError('protocol', `the supervisor failed with an unknown code: ${text}`);
}

export const goneError = (message = 'the sandbox has ended', cause?: unknown): SandboxError =>
  new SandboxError('gone', message, cause === undefined ? undefined : { cause });
