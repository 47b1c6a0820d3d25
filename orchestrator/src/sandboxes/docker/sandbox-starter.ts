/** Starts sandboxes, from nothing or from an image, and takes away what a failed start has made. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SandboxError, type SandboxId, type SandboxSpec } from '../sandbox.driver.js';
import { bootSupervisor, checkWanted, type BootedSupervisor, type StartBounds } from './boot.js';
import type { ChannelDir } from './channel-dir.js';
import { toCreateOptions, type ContainerSettings } from './container-config.js';
import type { ContainerState, DockerEngine } from './docker-engine.js';
import type { DriverLogger } from './docker.driver.js';
import type { SandboxRemoval } from './sandbox-removal.js';

/** In the folder of an image that is still being written; sandbox/runtime/code-interpreter-runtime knows it too. */
const UNFINISHED = 'unfinished';
const LOG_LINES = 15;
const MAX_LOG_CHARS = 1_000;

export interface StartOrder {
  readonly id: SandboxId;
  readonly spec: SandboxSpec;
  /** All that Docker is told but for the folders, which are made here. */
  readonly settings: Omit<ContainerSettings, 'folders'>;
  /** Milliseconds from `create` to a ready kernel. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /**
   * Writes the image of the sandbox into this folder, while Docker makes the container: the sandbox goes on from
   * there, as what it was. Without it, one with `settings.restoreFrom` is a clone.
   */
  readonly fill?: ((folder: string) => Promise<void>) | undefined;
}

export interface Started extends BootedSupervisor {
  readonly state: ContainerState;
}

/** Our runtime waits for the file to go; where the folder goes as well, it cannot restore and says so. */
async function filled(folder: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const unfinished = join(folder, UNFINISHED);
  await mkdir(folder, { mode: 0o700 });
  await writeFile(unfinished, '');
  try {
    await fill(folder);
    await rm(unfinished);
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

export class SandboxStarter {
  constructor(
    private readonly engine: Pick<DockerEngine, 'create' | 'start' | 'inspect' | 'logTail'>,
    private readonly channels: Pick<ChannelDir, 'create'>,
    private readonly removal: Pick<SandboxRemoval, 'remove'>,
    private readonly logger: Pick<DriverLogger, 'debug' | 'warn'>,
  ) {}

  /** Rejects with `start_failed` or `engine_unavailable`, and leaves nothing then. */
  async start(order: StartOrder): Promise<Started> {
    const beganAt = performance.now();
    const { id, settings } = order;
    try {
      const started = await this.tryStart(order);
      this.logger.debug(
        { sandboxId: id, tookMs: Math.round(performance.now() - beganAt), clone: started.restored },
        'sandbox started',
      );
      return started;
    } catch (error) {
      throw await this.undo(id, settings.name, error);
    }
  }

  private async tryStart({ spec, settings, timeoutMs, signal, fill }: StartOrder): Promise<Started> {
    const { name } = settings;
    const bounds = { deadline: Date.now() + timeoutMs, ...(signal === undefined ? {} : { signal }) };
    checkWanted(signal);
    const folders = await this.channels.create(name);
    if (fill === undefined) {
      const started = await this.run(spec, { ...settings, folders }, bounds);
      if (settings.restoreFrom !== undefined) await this.separate(started, spec);
      return started;
    }
    // Both are over before anything is taken away; where one fails, the other does not go on for long.
    const [filling, starting] = await Promise.allSettled([
      filled(folders.origin, fill),
      this.run(spec, { ...settings, folders, restoreFrom: folders.origin }, bounds),
    ]);
    if (filling.status === 'rejected') throw filling.reason;
    if (starting.status === 'rejected') throw starting.reason;
    await rm(folders.origin, { recursive: true, force: true });
    return starting.value;
  }

  private async run(spec: SandboxSpec, settings: ContainerSettings, bounds: StartBounds): Promise<Started> {
    const { name, folders, restoreFrom } = settings;
    await this.engine.create(toCreateOptions(spec, settings));
    checkWanted(bounds.signal);
    await this.engine.start(name);
    // The cgroup must be known before the first execution, and is there as soon as it runs.
    const [booted, state] = await Promise.all([
      bootSupervisor(folders.channel, bounds, () => this.engine.inspect(name)),
      this.engine.inspect(name),
    ]);
    if (restoreFrom !== undefined && !booted.restored) {
      booted.client.close();
      throw new SandboxError('start_failed', 'the runtime has not restored the sandbox from its image');
    }
    return { ...booted, state };
  }

  /** No clone is anybody's before it has limits and random numbers of its own. */
  private async separate({ client }: Started, spec: SandboxSpec): Promise<void> {
    try {
      await client.configure(spec, false);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Removes what a failed start has made, and says why it failed. */
  private async undo(id: string, name: string, error: unknown): Promise<SandboxError> {
    const reason =
      error instanceof SandboxError
        ? error
        : new SandboxError('start_failed', String(error), { cause: error });
    const log = await this.engine.logTail(name, LOG_LINES).catch(() => '');
    await this.removal.remove(name).catch((cause: unknown) => {
      this.logger.warn(
        { sandboxId: id, err: cause },
        'a failed start could not be cleaned up; the next sweep tries again',
      );
    });
    if (reason.code === 'engine_unavailable') return reason;
    const tail = log
      .replace(/[^\x20-\x7e\n]/g, '')
      .trim()
      .slice(-MAX_LOG_CHARS);
    const message = tail === '' ? reason.message : `${reason.message}; its log ends with:\n${tail}`;
    this.logger.warn({ sandboxId: id, reason: reason.message }, 'sandbox did not start');
    return new SandboxError('start_failed', message, { cause: reason });
  }
}
