/** Takes away all that a sandbox has on the host, and remembers what it could not. */
import { SandboxError } from '../sandbox.driver.js';
import type { ChannelDir } from './channel-dir.js';
import type { ContainerState, DockerEngine } from './docker-engine.js';
import type { DriverLogger } from './docker.driver.js';
import { endSentry, killLeftovers } from './leftover-processes.js';

/** Within which the engine has noticed that a sandbox ended, in milliseconds. */
const END_PATIENCE_MS = 10_000;

export class SandboxRemoval {
  private readonly owed = new Set<string>();

  constructor(
    private readonly engine: Pick<DockerEngine, 'inspect' | 'remove' | 'waitForEnd'>,
    private readonly channels: Pick<ChannelDir, 'remove' | 'removeOrigin'>,
    private readonly logger: Pick<DriverLogger, 'warn'>,
  ) {}

  /** Whether a container that should be gone may be there, even running: whoever lists it calls it dead. */
  isOwed(name: string): boolean {
    return this.owed.has(name);
  }

  /** Container, processes, folder. Idempotent. What it rejects for, such as an engine that is away, leaves it owed. */
  async remove(name: string): Promise<void> {
    try {
      await this.removeAll(name);
      this.owed.delete(name);
    } catch (error) {
      this.owed.add(name);
      throw error;
    }
  }

  private async removeAll(name: string): Promise<void> {
    await this.channels.removeOrigin(name);
    const state = await this.find(name);
    if (state !== undefined) {
      // An order to kill that crosses the ends of many processes costs a second for each of them.
      if (state.running && (await endSentry(state.pid, state.engineId)))
        await this.engine.waitForEnd(name, END_PATIENCE_MS);
      await this.engine.remove(name);
      const leaked = await killLeftovers(state.engineId);
      if (leaked > 0) this.logger.warn({ name, leaked }, 'ended processes that the engine left behind');
    }
    await this.channels.remove(name);
  }

  private async find(name: string): Promise<ContainerState | undefined> {
    try {
      return await this.engine.inspect(name);
    } catch (error) {
      if (error instanceof SandboxError && error.code === 'gone') return undefined;
      throw error;
    }
  }
}
