/** Puts sandboxes to sleep, with all their variables, and wakes them. What is stays of each is one file. */
import { formatBytes } from '../../common/memory-size.js';
import { SandboxError, type SandboxId } from '../sandbox.driver.js';
import type { ChannelDir } from './channel-dir.js';
import type { DockerEngine } from './docker-engine.js';
import type { DockerSandbox } from './docker-sandbox.js';
import { isEngineAway } from './engine-errors.js';
import type { DriverLogger } from './docker.driver.js';
import { fromLabels } from './sandbox-labels.js';
import type { SandboxRemoval } from './sandbox-removal.js';
import type { Sleeper, SleeperRecord, Sleepers } from './sleepers.js';
import { goneError } from './supervisor-errors.js';
import type { Template } from './templates.js';

export interface HibernationParts {
  readonly engine: Pick<DockerEngine, 'checkpoint' | 'inspect'>;
  readonly channels: Pick<ChannelDir, 'folders' | 'freeBytes' | 'usedBytes'>;
  readonly removal: Pick<SandboxRemoval, 'remove'>;
  readonly sleepers: Sleepers;
  readonly logger: Pick<DriverLogger, 'debug' | 'warn'>;
  /** A sandbox whose memory and files take more stays awake. */
  readonly mostBytes: number;
  /** What stays free on the disk. */
  readonly floorBytes: number;
  nameOf(id: string): string;
  /** What the memory of most sandboxes is nearly alike with. */
  template(): Promise<Template | undefined>;
  /** Makes a sandbox of that name from the image that `fill` writes into a folder. */
  restore(sleeper: Sleeper, fill: (folder: string) => Promise<void>): Promise<DockerSandbox>;
}

export class Hibernation {
  constructor(private readonly parts: HibernationParts) {}

  /**
   * Rejects with `busy`, and nothing has changed, while code runs or files are copied, and where it is too large or
   * the disk too full. Whatever else it rejects for, this sandbox object is spent: the sandbox may go on, to be
   * attached again, or be gone.
   */
  async sleep(sandbox: DockerSandbox): Promise<number> {
    const { engine, channels, logger } = this.parts;
    const beganAt = performance.now();
    const name = this.parts.nameOf(sandbox.id);
    const record = await this.admit(sandbox, name).catch(asBusy);
    await sandbox.park();
    await engine.checkpoint(name);
    let bytes: number;
    try {
      bytes = await this.store(sandbox.id, record, channels.folders(name).image);
    } finally {
      await this.removed(name);
    }
    const tookMs = Math.round(performance.now() - beganAt);
    logger.debug({ sandboxId: sandbox.id, bytes, tookMs }, 'sandbox put to sleep');
    return bytes;
  }

  /** `undefined` if it does not sleep. Rejects with `gone` when it cannot be woken for good. */
  async wake(id: SandboxId): Promise<DockerSandbox | undefined> {
    const { sleepers, logger, removal } = this.parts;
    const sleeper = await sleepers.find(id);
    if (sleeper === undefined) return undefined;
    const beganAt = performance.now();
    // What an attempt that was cut off has left.
    await removal.remove(this.parts.nameOf(id));
    let sandbox: DockerSandbox;
    try {
      sandbox = await this.restore(sleeper);
    } catch (error) {
      if (isEngineAway(error)) throw error;
      logger.warn({ sandboxId: id, err: error }, 'a sandbox does not wake up; its variables are lost');
      await sleepers.forget(id);
      throw goneError('the sandbox has slept, and cannot be woken', error);
    }
    // Before anybody has it: it must not be woken a second time, as it was before what is run from now on.
    await sleepers.forget(id);
    logger.debug({ sandboxId: id, tookMs: Math.round(performance.now() - beganAt) }, 'sandbox woken');
    return sandbox;
  }

  /** Looks at all that can be looked at while the sandbox still runs. */
  private async admit(sandbox: DockerSandbox, name: string): Promise<SleeperRecord> {
    const { engine, channels, sleepers, mostBytes, floorBytes } = this.parts;
    const bytes = sandbox.usedBytes + (await channels.usedBytes(name));
    if (bytes > mostBytes)
      throw new Error(
        `its memory and files take ${formatBytes(bytes)}, and ${formatBytes(mostBytes)} may be stored`,
      );
    // The image as gVisor writes it, and what is kept of it.
    if (Math.min(await channels.freeBytes(), await sleepers.freeBytes()) < 2 * bytes + floorBytes)
      throw new Error('the disk is too full for its memory and files');
    const { labels, imageId } = await engine.inspect(name);
    return { createdAt: fromLabels(labels)?.createdAt ?? new Date(), spec: sandbox.spec, imageId };
  }

  private async store(id: SandboxId, record: SleeperRecord, image: string): Promise<number> {
    try {
      return await this.parts.sleepers.keep(id, record, image, await this.parts.template());
    } catch (error) {
      throw goneError('the sandbox was to be put to sleep, and its memory could not be stored', error);
    }
  }

  /** Twice: one start in a thousand fails for no reason that lies in the image. */
  private async restore(sleeper: Sleeper): Promise<DockerSandbox> {
    const fill = (folder: string) => this.parts.sleepers.unpack(sleeper, folder);
    try {
      return await this.parts.restore(sleeper, fill);
    } catch (error) {
      if (isEngineAway(error)) throw error;
      this.parts.logger.warn(
        { sandboxId: sleeper.id, err: error },
        'a sandbox did not wake up; trying again',
      );
      return this.parts.restore(sleeper, fill);
    }
  }

  private async removed(name: string): Promise<void> {
    await this.parts.removal.remove(name).catch((error: unknown) => {
      this.parts.logger.warn({ name, err: error }, 'what a sleeping sandbox has left is removed later');
    });
  }
}

/** It was not touched yet, so it goes on as it was. */
function asBusy(error: unknown): never {
  throw new SandboxError('busy', error instanceof Error ? error.message : String(error), { cause: error });
}
