/** Code that a sandbox takes and does not begin: it is asked whether it answers, and given up if it does not. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Execution, type ExecutionHost } from '../../../orchestrator/src/sandboxes/docker/execution.js';
import type { FrameConnection } from '../../../orchestrator/src/sandboxes/docker/frame-connection.js';
import { goneError } from '../../../orchestrator/src/sandboxes/docker/supervisor-errors.js';
import { SandboxError } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';

const OPTIONS = { timeoutMs: 600_000, maxOutputBytes: 1, maxImages: 1, maxImageBytes: 1 };
const STARTED = { header: { id: 1, event: 'started' }, payload: Buffer.alloc(0), pieces: [] };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An execution that was sent to a sandbox which says nothing; `answers`: whether it answers a ping. */
async function sent(answers: boolean) {
  const connection = { call: () => undefined, resume: () => undefined, pause: () => undefined };
  const pings: number[] = [];
  const host: ExecutionHost = {
    connect: () => Promise.resolve(connection as unknown as FrameConnection),
    interrupt: () => Promise.resolve(false),
    ping: () => {
      pings.push(Date.now());
      return answers ? Promise.resolve() : Promise.reject(goneError());
    },
    oomKills: () => 0,
    explainEnd: (error) => Promise.resolve(error),
    restartTimeoutMs: 1_000,
    maxFileChanges: 1,
    giveUp: (reason) => execution.failed(reason),
  };
  const execution: Execution = new Execution(host, OPTIONS);
  void execution.run('1');
  const end = (async () => {
    for await (const event of execution.events) void event;
  })().catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(0);
  return { execution, pings, end };
}

describe('code that is not begun', () => {
  it('is somebody else’s when the sandbox does not answer', async () => {
    const { pings, end } = await sent(false);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(pings).toHaveLength(1);
    expect(await end).toMatchObject({ code: 'gone', neverBegun: true });
  });

  it('goes on waiting while the sandbox answers, as when its kernel is being replaced', async () => {
    const { execution, pings } = await sent(true);
    await vi.advanceTimersByTimeAsync(35_000);
    expect(pings).toHaveLength(3);
    execution.event(STARTED);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(pings).toHaveLength(3);
  });

  it('has begun once the sandbox said so, whatever comes then', async () => {
    const { execution, end } = await sent(false);
    execution.event(STARTED);
    execution.failed(goneError());
    expect(await end).toMatchObject({ code: 'gone', neverBegun: false });
  });

  it('has taken the memory when the host says so: trying again would not help', async () => {
    const { execution, end } = await sent(false);
    execution.failed(new SandboxError('gone', 'too much', { outOfMemory: true }));
    expect(await end).toMatchObject({ code: 'gone', outOfMemory: true, neverBegun: false });
  });
});
