import { describe, expect, it, vi } from 'vitest';
import { toJobOptions } from '../../../orchestrator/src/queues/job-scheduler.js';
import { logSeldom } from '../../../orchestrator/src/queues/quiet-log.js';

describe('toJobOptions', () => {
  it('tries once and keeps a few', () => {
    expect(toJobOptions({})).toMatchObject({ attempts: 1, delay: 0, removeOnComplete: { count: 20 } });
    expect(toJobOptions({})).not.toHaveProperty('jobId');
  });

  it('leaves no trace of a job with an id, so that the id is free again', () => {
    expect(toJobOptions({ jobId: 'x', delayMs: 0, attempts: 3, backoffMs: 50 })).toMatchObject({
      jobId: 'x',
      attempts: 3,
      backoff: { type: 'exponential', delay: 50 },
      removeOnComplete: true,
      removeOnFail: true,
    });
  });
});

it('logSeldom writes the same message once in ten seconds', () => {
  const warn = vi.fn<(message: string) => void>();
  let nowMs = 0;
  const log = logSeldom({ warn }, 'worker', () => nowMs);
  log(new Error('down'));
  log(new Error('down'));
  log(new Error('other'));
  nowMs = 10_001;
  log(new Error('other'));
  expect(warn.mock.calls.flat()).toEqual(['worker: down', 'worker: other', 'worker: other']);
});
