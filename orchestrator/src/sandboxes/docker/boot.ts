/** From "the container runs" to "the kernel is ready", and back to a running one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { SandboxError } from '../sandbox.driver.js';
import type { ContainerState } from './docker-engine.js';
import { SupervisorClient } from './supervisor-client.js';
import { PROTOCOL } from './supervisor.schema.js';
import { goneError } from './supervisor-errors.js';
import { NotListeningYet } from './supervisor-socket.js';

/** Milliseconds between looks; a look costs some microseconds, a ping half a millisecond. */
const SOCKET_POLL_MS = 4;
const KERNEL_POLL_MS = 10;
/** Every so many looks the engine is asked whether the container still runs at all. */
const LOOKS_PER_INSPECT = 50;
/** A running supervisor accepts at once. */
const RECONNECT_TIMEOUT_MS = 5_000;
/**
 * But for one that was told to park and never written down: its socket comes back after PATIENCE_SECONDS of
 * sandbox/supervisor/parking.py.
 */
const PARKED_TIMEOUT_MS = 35_000;

/** How long a start may take. */
export interface StartBounds {
  /** As of Date.now(). */
  readonly deadline: number;
  /** The same for a socket that is there and refuses; as `deadline` if absent. */
  readonly refusedDeadline?: number;
  /** Whoever wanted the sandbox does not any more. */
  readonly signal?: AbortSignal;
}

function timedOut(what: string): SandboxError {
  return new SandboxError('start_failed', `the sandbox did not start in time: ${what}`);
}

/** Throws `start_failed` when the start was given up. */
export function checkWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new SandboxError('start_failed', 'the start of the sandbox was given up');
}

async function untilListening(
  directory: string,
  { deadline, refusedDeadline = deadline, signal }: StartBounds,
  checkRunning: () => Promise<void>,
): Promise<SupervisorClient> {
  let hasSocket = false;
  for (let look = 1; ; look += 1) {
    checkWanted(signal);
    try {
      return await SupervisorClient.connect(directory);
    } catch (error) {
      if (!(error instanceof NotListeningYet)) throw error;
      hasSocket = error.hasSocket;
    }
    if (Date.now() > (hasSocket ? refusedDeadline : deadline))
      throw timedOut('its supervisor does not listen');
    if (look % LOOKS_PER_INSPECT === 0) await checkRunning();
    await sleep(SOCKET_POLL_MS);
  }
}

/** An older sandbox image, or a sandbox that an older server left: it would ignore what it does not know. */
const otherProtocol = (version: string): SandboxError =>
  new SandboxError(
    'start_failed',
    `the sandbox speaks version ${version} of the supervisor's protocol, this server version ${PROTOCOL}: build the image with "npm run setup"`,
  );

/** Resolves with whether the sandbox was made from an image. */
async function untilReady(client: SupervisorClient, { deadline, signal }: StartBounds): Promise<boolean> {
  for (;;) {
    checkWanted(signal);
    const { kernel, version, restored } = await client.ping();
    if (version !== PROTOCOL) throw otherProtocol(version);
    if (kernel === 'ready') return restored;
    if (Date.now() > deadline) throw timedOut(`its kernel is ${kernel}`);
    await sleep(KERNEL_POLL_MS);
  }
}

export interface BootedSupervisor {
  readonly client: SupervisorClient;
  /** The sandbox was made from an image. */
  readonly restored: boolean;
}

/**
 * Waits for the supervisor's socket and then for its kernel. Rejects with `start_failed` or `gone`;
 * leaves no connection open then.
 */
export async function bootSupervisor(
  directory: string,
  bounds: StartBounds,
  inspect: () => Promise<ContainerState>,
): Promise<BootedSupervisor> {
  const client = await untilListening(directory, bounds, async () => {
    const state = await inspect();
    if (!state.running) {
      const memory = state.outOfMemory ? ', out of memory' : '';
      throw new SandboxError(
        'start_failed',
        `the sandbox ended while it started (exit code ${state.exitCode}${memory})`,
      );
    }
  });
  try {
    return { client, restored: await untilReady(client, bounds) };
  } catch (error) {
    client.close();
    throw error;
  }
}

/**
 * Connects to a supervisor that an earlier process left. Code that still runs there has lost its
 * reader and is interrupted. Rejects with `gone`.
 */
export async function reconnectSupervisor(directory: string, timeoutMs: number): Promise<SupervisorClient> {
  try {
    const now = Date.now();
    const bounds = { deadline: now + PARKED_TIMEOUT_MS, refusedDeadline: now + RECONNECT_TIMEOUT_MS };
    const client = await untilListening(directory, bounds, () => Promise.resolve());
    try {
      await client.untilIdle(timeoutMs);
      await untilReady(client, { deadline: Date.now() + timeoutMs });
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  } catch (cause) {
    throw goneError('the sandbox runs, but its supervisor cannot be taken hold of again', cause);
  }
}
