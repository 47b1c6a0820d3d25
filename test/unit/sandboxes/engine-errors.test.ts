import { describe, expect, it } from 'vitest';
import { classify, toEngineError } from '../../../orchestrator/src/sandboxes/docker/engine-errors.js';

const answered = (statusCode: number): Error =>
  Object.assign(new Error(`(HTTP code ${statusCode}) some reason - No such container: x `), { statusCode });
const unanswered = (code: string): Error => Object.assign(new Error(`connect ${code}`), { code });

describe('the engine’s failures', () => {
  it.each([
    [answered(400), 'refused'],
    [answered(404), 'absent'],
    [answered(409), 'conflict'],
    [answered(500), 'failed'],
    [answered(503), 'failed'],
    [answered(304), 'unknown'],
    [unanswered('ECONNREFUSED'), 'unreachable'],
    [unanswered('ENOENT'), 'unreachable'],
    [unanswered('EACCES'), 'unreachable'],
    [new TypeError('a fault of ours'), 'unknown'],
    ['text', 'unknown'],
  ])('are classified: %s', (error, failure) => {
    expect(classify(error)).toBe(failure);
  });

  it.each([
    ['start', answered(500), 'start_failed'],
    ['create', answered(404), 'start_failed'],
    ['find', answered(404), 'gone'],
    ['start', unanswered('ECONNREFUSED'), 'engine_unavailable'],
    ['remove', answered(500), 'engine_unavailable'],
    ['ask', answered(500), 'engine_unavailable'],
  ] as const)('become errors of the port: %s', (operation, error, code) => {
    expect(toEngineError(operation, error)).toMatchObject({ name: 'SandboxError', code, cause: error });
  });

  it('lose dockerode’s decoration', () => {
    expect(toEngineError('find', answered(404)).message).toBe(
      'the Docker engine could not find the sandbox: No such container: x',
    );
  });
});
