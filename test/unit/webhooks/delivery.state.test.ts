import { describe, expect, it } from 'vitest';
import { judge, RETRY_DELAYS_MS } from '../../../orchestrator/src/webhooks/deliveries/delivery.state.js';
import type { Outcome } from '../../../orchestrator/src/webhooks/deliveries/delivery.types.js';

const outcome = (kind: Outcome['kind'], status: number | null): Outcome => ({
  kind,
  status,
  startedAt: new Date(0),
  durationMs: 1,
  error: null,
  answer: null,
});

describe('judge', () => {
  it('is content with 2xx alone', () => {
    expect(judge(outcome('delivered', 204), 1, 3)).toEqual({ status: 'delivered' });
    for (const status of [301, 400, 404, 429, 500]) {
      expect(judge(outcome('refused', status), 1, 3)).toEqual({ status: 'pending', delayMs: 1000 });
    }
    expect(judge(outcome('unreachable', null), 1, 3)).toEqual({ status: 'pending', delayMs: 1000 });
  });

  it('waits longer each time, and then gives up', () => {
    const delays = Array.from({ length: 9 }, (_, index) =>
      judge(outcome('unreachable', null), index + 1, 10),
    );
    expect(delays).toEqual(
      [...RETRY_DELAYS_MS, RETRY_DELAYS_MS.at(-1)].map((delayMs) => ({ status: 'pending', delayMs })),
    );
    expect(RETRY_DELAYS_MS).toEqual([...RETRY_DELAYS_MS].sort((a, b) => a - b));
    expect(judge(outcome('unreachable', null), 10, 10)).toEqual({ status: 'failed', gone: false });
  });

  it('does not ask again whoever says 410', () => {
    expect(judge(outcome('refused', 410), 1, 3)).toEqual({ status: 'failed', gone: true });
  });
});
