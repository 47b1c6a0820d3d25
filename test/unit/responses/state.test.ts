import { describe, expect, it } from 'vitest';
import * as container from '../../../orchestrator/src/containers/container.state.js';
import * as execution from '../../../orchestrator/src/containers/execution.state.js';
import * as response from '../../../orchestrator/src/responses/record/response.state.js';

/** States reachable from `start`, itself included. */
function reachable<S extends string>(transitions: Record<S, readonly S[]>, start: S): Set<S> {
  const seen = new Set<S>([start]);
  for (const state of seen) for (const next of transitions[state]) seen.add(next);
  return seen;
}

describe('state tables', () => {
  it('reach every state from the first one', () => {
    expect(reachable(container.containerStates.transitions, 'running').size).toBe(
      Object.keys(container.containerStates.transitions).length,
    );
    expect(reachable(execution.executionStates.transitions, 'queued').size).toBe(
      Object.keys(execution.executionStates.transitions).length,
    );
    expect(reachable(response.transitions, 'queued').size).toBe(Object.keys(response.transitions).length);
  });

  it('have no way out of an end', () => {
    expect(
      Object.keys(response.transitions)
        .filter((state) => response.isTerminal(state as never))
        .sort(),
    ).toEqual(['cancelled', 'completed', 'failed', 'incomplete']);
    expect(
      Object.keys(execution.executionStates.transitions)
        .filter((state) => execution.executionStates.isTerminal(state as never))
        .sort(),
    ).toEqual(['completed', 'failed', 'interrupted', 'kernel_died', 'out_of_memory', 'timed_out']);
  });

  it('do not let a cancelled response complete', () => {
    expect(response.canGo('cancelled', 'completed')).toBe(false);
    expect(response.canGo('in_progress', 'completed')).toBe(true);
  });
});

describe('expiry of a container', () => {
  const at = (minutes: number) => new Date(minutes * 60_000);
  const row = { status: 'running' as const, lastActiveAt: at(0), idleMinutes: 20 };

  it.each([
    [0, 'running'],
    [19.99, 'running'],
    [20, 'expired'],
    [500, 'expired'],
  ])('after %d idle minutes it is %s', (minutes, state) => {
    expect(container.stateAt(row, at(minutes))).toBe(state);
  });

  it('never brings back what was written down as ended', () => {
    expect(container.stateAt({ ...row, status: 'expired' }, at(0))).toBe('expired');
    expect(container.stateAt({ ...row, status: 'deleted' }, at(0))).toBe('deleted');
    expect(container.containerStates.canGo('expired', 'running')).toBe(false);
  });
});
