/**
 * Which live sandbox serves which container. A container gets one on first need, filled with its
 * files; when the sandbox is lost (crash, restart, memory needed elsewhere) the next use gets
 * another one with the same files, and the caller is told that variables are gone.
 *
 * What is serialised: binding, releasing and copying a file in, per container. Executions have
 * their own queue (execution.service.ts).
 */
import { type BeforeApplicationShutdown, Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { KeyedMutex } from '../common/mutex.js';
import type { MemorySize } from '../config/env.schema.js';
import type { Reclaimer } from '../sandboxes/reclaimer.js';
import { type Sandbox, SandboxDriver, SandboxError, type SandboxId } from '../sandboxes/sandbox.driver.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';
import { BlobsService } from '../storage/blobs.service.js';
import { ContainerFileRepository, type ContainerFileRow } from './container-file.repository.js';
import { ContainerRepository, type ContainerRow } from './container.repository.js';
import { FileImporter } from './file-importer.js';

/** Milliseconds without use after which a sandbox is asked whether it lives before it is used again. */
const PING_AFTER_MS = 1_000;

interface Binding {
  readonly sandbox: Sandbox;
  /** Executions that use it now; more than none means it is not given up. */
  users: number;
  lastUsedMs: number;
}

/** A sandbox in use; `release` must be called exactly once. */
export interface Lease {
  readonly sandbox: Sandbox;
  /** The container had another sandbox before: its variables are gone. */
  readonly stateLost: boolean;
  release(): void;
}

@Injectable()
export class SandboxBindings implements Reclaimer, OnModuleInit, BeforeApplicationShutdown {
  private readonly logger = new Logger(SandboxBindings.name);
  private readonly bindings = new Map<string, Binding>();
  private readonly mutex = new KeyedMutex();

  constructor(
    private readonly driver: SandboxDriver,
    private readonly pool: SandboxPool,
    private readonly containers: ContainerRepository,
    private readonly files: ContainerFileRepository,
    private readonly blobs: BlobsService,
    private readonly importer: FileImporter,
  ) {}

  onModuleInit(): void {
    this.pool.setReclaimer(this);
  }

  /** Sandboxes outlive an orderly stop, with their variables, unless their engine ends with the server. */
  async beforeApplicationShutdown(): Promise<void> {
    if (this.pool.keepsSandboxesAtStop) return;
    await Promise.allSettled([...this.bindings.keys()].map((containerId) => this.release(containerId, null)));
  }

  /** A sandbox for this container, with all its files; called before each execution. */
  async lease(row: ContainerRow): Promise<Lease> {
    return this.mutex.run(row.id, async () => {
      const known = await this.alive(row.id);
      const { binding, stateLost } = known ? { binding: known, stateLost: false } : await this.bind(row.id);
      binding.users += 1;
      binding.lastUsedMs = Date.now();
      let released = false;
      return {
        sandbox: binding.sandbox,
        stateLost,
        release: () => {
          if (released) return;
          released = true;
          binding.users -= 1;
          binding.lastUsedMs = Date.now();
        },
      };
    });
  }

  /** Copies one file into the sandbox if there is one; called after its row was written. */
  async copyIn(file: ContainerFileRow): Promise<void> {
    await this.mutex.run(file.containerId, async () => {
      const binding = this.bindings.get(file.containerId);
      if (binding) await this.putFile(binding.sandbox, file);
    });
  }

  /** Removes a file from the sandbox if there is one; a file that is already gone is fine. */
  async removeFile(containerId: string, path: string): Promise<void> {
    await this.mutex.run(containerId, async () => {
      try {
        await this.bindings.get(containerId)?.sandbox.removeFile(path);
      } catch (error) {
        if (!(error instanceof SandboxError && (error.code === 'not_found' || error.code === 'gone')))
          throw error;
      }
    });
  }

  /** Ends the container's sandbox, running code included. Called on delete, on expiry, and when room is needed. */
  async release(containerId: string, sandboxId: string | null): Promise<void> {
    const binding = this.bindings.get(containerId);
    this.bindings.delete(containerId);
    const id = binding?.sandbox.id ?? (sandboxId as SandboxId | null);
    if (!id) return;
    await this.driver.destroy(id);
    await this.containers.unbind(containerId, id);
  }

  /** True while an execution uses the container's sandbox. */
  isInUse(containerId: string): boolean {
    return (this.bindings.get(containerId)?.users ?? 0) > 0;
  }

  boundIds(): ReadonlySet<string> {
    return new Set([...this.bindings.values()].map((binding) => binding.sandbox.id));
  }

  get size(): number {
    return this.bindings.size;
  }

  /** The binding if its sandbox answers; one that does not is put away. */
  private async alive(containerId: string): Promise<Binding | undefined> {
    const binding = this.bindings.get(containerId);
    if (!binding || binding.users > 0 || Date.now() - binding.lastUsedMs < PING_AFTER_MS) return binding;
    try {
      await binding.sandbox.ping();
      return binding;
    } catch (error) {
      this.logger.warn({ err: error, containerId }, 'a sandbox does not answer any more');
      await this.release(containerId, null);
      return undefined;
    }
  }

  private async bind(containerId: string): Promise<{ binding: Binding; stateLost: boolean }> {
    const row = await this.containers.findAny(containerId);
    if (!row || row.status !== 'running') throw new ApiError('container_expired', 'Container is expired.');
    const again = row.sandboxId === null ? null : await this.attach(row, row.sandboxId as SandboxId);
    if (again) return { binding: again, stateLost: false };
    const sandbox = await this.pool.acquire(row.memoryLimit as MemorySize);
    try {
      for (const file of await this.files.all(containerId)) await this.putFile(sandbox, file);
      const generation = await this.containers.bind(containerId, sandbox.id, row.generation);
      if (generation === null) throw new ApiError('container_expired', 'Container is expired.');
    } catch (error) {
      await this.driver.destroy(sandbox.id);
      throw error;
    }
    return { binding: this.remember(containerId, sandbox), stateLost: row.generation > 0 };
  }

  /** Takes up the sandbox an earlier process left, with whatever files its last execution wrote. */
  private async attach(row: ContainerRow, sandboxId: SandboxId): Promise<Binding | null> {
    try {
      const sandbox = await this.driver.attach(sandboxId);
      await this.importer.importAll(row, sandbox);
      for (const file of await this.files.all(row.id)) {
        if (file.mtimeMs === null) await this.putFile(sandbox, file);
      }
      return this.remember(row.id, sandbox);
    } catch (error) {
      if (!(error instanceof SandboxError)) throw error;
      this.logger.warn(
        { containerId: row.id, reason: error.message },
        'the sandbox of an earlier run is gone',
      );
      await this.driver.destroy(sandboxId);
      return null;
    }
  }

  private remember(containerId: string, sandbox: Sandbox): Binding {
    const binding: Binding = { sandbox, users: 0, lastUsedMs: Date.now() };
    this.bindings.set(containerId, binding);
    void sandbox.closed.then(async () => {
      if (this.bindings.get(containerId) !== binding) return;
      this.bindings.delete(containerId);
      this.logger.warn({ containerId, sandboxId: sandbox.id }, 'a sandbox ended by itself');
      await this.driver.destroy(sandbox.id).catch(() => {});
      await this.containers.unbind(containerId, sandbox.id).catch(() => {});
    });
    return binding;
  }

  private async putFile(sandbox: Sandbox, file: ContainerFileRow): Promise<void> {
    const entry = await sandbox.putFile(file.path, await this.blobs.read(file.blobSha256));
    await this.files.setMtime(file.id, BigInt(Math.floor(entry.modifiedAtMs)));
  }

  /** Gives up the sandbox that was idle longest; its files are in the blob store already. */
  async giveUpIdlest(minIdleMs: number): Promise<boolean> {
    const idle = [...this.bindings.entries()]
      .filter(([, binding]) => binding.users === 0 && Date.now() - binding.lastUsedMs >= minIdleMs)
      .sort(([, a], [, b]) => a.lastUsedMs - b.lastUsedMs)[0];
    if (!idle) return false;
    this.logger.warn({ containerId: idle[0] }, 'giving up an idle sandbox: memory is short');
    await this.release(idle[0], null);
    return true;
  }
}
