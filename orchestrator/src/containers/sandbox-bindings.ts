/**
 * Which live sandbox serves which container. A container gets one on first need, filled with its
 * files; when the sandbox is lost (crash, restart, memory needed elsewhere) the next use gets
 * another one with the same files, and the caller is told that variables are gone. One that nobody uses for
 * a while sleeps: it takes disk instead of memory, and the next use wakes it, variables and all.
 *
 * What is serialised: binding, copying a file in, and giving up an idle sandbox, per container. Executions
 * have their own queue (execution.service.ts).
 *
 * A binding is dirty while its sandbox may hold files that are not stored: from the start of an execution
 * until its files are. The next use of a dirty one, the sweep, and whoever gives it up compare the whole tree
 * with the records first.
 */
import { type BeforeApplicationShutdown, Injectable, Logger } from '@nestjs/common';
import { ApiError } from '../common/api-error.js';
import { KeyedMutex, Semaphore } from '../common/mutex.js';
import type { MemorySize } from '../config/env.schema.js';
import type { Reclaimer } from '../sandboxes/reclaimer.js';
import { type Sandbox, SandboxDriver, SandboxError, type SandboxId } from '../sandboxes/sandbox.driver.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';
import { type Binding, isGone, type Lease, markDirty, use } from './binding.js';
import type { ContainerFileRow } from './container-file.repository.js';
import { ContainerRepository, type ContainerRow } from './container.repository.js';
import { ContainerMemory } from './container-memory.js';
import { ContainerHolds } from './holds.js';
import { isRefusal, SandboxFiles } from './sandbox-files.js';

/** Sandboxes that may turn out dead, one after the other, before a client is told. */
const MAX_DEAD = 8;
/** Milliseconds that comparing a whole tree with the records may take. */
const RECONCILE_MS = 60_000;
/** The same when memory is short, or the process ends. */
const HASTY_RECONCILE_MS = 10_000;
/** Sandboxes put to sleep at the same time when the server stops. */
const SLEEPS_AT_STOP = 3;

@Injectable()
export class SandboxBindings implements Reclaimer, BeforeApplicationShutdown {
  private readonly logger = new Logger(SandboxBindings.name);
  private readonly bindings = new Map<string, Binding>();
  private readonly mutex = new KeyedMutex();
  /** Sandboxes that fell asleep since the server started. */
  sleeps = 0;

  constructor(
    private readonly driver: SandboxDriver,
    private readonly pool: SandboxPool,
    private readonly containers: ContainerRepository,
    private readonly files: SandboxFiles,
    private readonly memory: ContainerMemory,
    private readonly holds: ContainerHolds,
  ) {}

  /** Sandboxes outlive an orderly stop, with their variables; where their engine ends with the server, asleep. */
  async beforeApplicationShutdown(): Promise<void> {
    if (this.pool.keepsSandboxesAtStop) return;
    const gate = new Semaphore(SLEEPS_AT_STOP);
    await Promise.allSettled(
      [...this.bindings.keys()].map((containerId) => gate.run(() => this.giveUp(containerId, true))),
    );
  }

  /** A sandbox for this container, with all its files; called before each execution. */
  async lease(row: ContainerRow): Promise<Lease> {
    return this.mutex.run(row.id, async () => {
      const known = await this.settled(row.id);
      const bound = known
        ? { binding: known, stateLost: false, isFresh: false, missing: [] }
        : await this.bind(row.id);
      const { binding, stateLost, isFresh, missing } = bound;
      const done = use(binding);
      return {
        target: binding.target,
        sandbox: binding.sandbox,
        stateLost,
        isFresh,
        missing,
        markDirty: () => markDirty(binding),
        release: done,
      };
    });
  }

  /**
   * Copies one file into the sandbox if there is one; called after its row was written. Rejects when the
   * sandbox refuses the file; whatever else goes wrong, the next use puts it in.
   */
  async copyIn(file: ContainerFileRow): Promise<void> {
    await this.mutex.run(file.containerId, async () => {
      const binding = this.bindings.get(file.containerId);
      if (!binding) return;
      const done = use(binding);
      try {
        await this.files.put(binding.sandbox, file);
      } catch (error) {
        if (isRefusal(error) || !(error instanceof SandboxError)) throw error;
        this.logger.warn({ err: error, containerId: file.containerId }, 'a file is put in with the next use');
        markDirty(binding);
      } finally {
        done();
      }
    });
  }

  /** Removes a file from the sandbox if there is one; one that is gone, or a folder by now, is fine. */
  async removeFile(containerId: string, path: string): Promise<void> {
    await this.mutex.run(containerId, async () => {
      const binding = this.bindings.get(containerId);
      if (!binding) return;
      const done = use(binding);
      try {
        await binding.sandbox.removeFile(path);
      } catch (error) {
        const isFine =
          error instanceof SandboxError && ['not_found', 'not_a_file', 'gone'].includes(error.code);
        if (!isFine) throw error;
      } finally {
        done();
      }
    });
  }

  /**
   * Ends the container's sandbox, running code included. Called on delete, on expiry, and when room is
   * needed. When the engine does not do it, the sandbox is nobody's, and the sweep removes it.
   */
  async release(containerId: string, sandboxId: string | null): Promise<void> {
    const binding = this.bindings.get(containerId);
    this.bindings.delete(containerId);
    const id = binding?.sandbox.id ?? (sandboxId as SandboxId | null);
    if (!id) return;
    this.pool.disown(id);
    await this.driver.destroy(id);
    await this.containers.unbind(containerId, id);
  }

  /**
   * The same for a container that has ended by itself: its files are stored first. False when that did not
   * work yet and is worth another try.
   */
  async retire(containerId: string, sandboxId: string | null): Promise<boolean> {
    return this.mutex.run(containerId, async () => {
      const binding = this.bindings.get(containerId);
      if (binding && binding.users > 0) return false;
      if (binding?.dirty && !(await this.reconcile(binding, RECONCILE_MS))) return false;
      await this.release(containerId, sandboxId);
      return true;
    });
  }

  /** Stores what earlier uses could not store; called by the sweep. */
  async settleDirty(): Promise<void> {
    for (const [containerId, binding] of this.bindings) {
      if (!binding.dirty || this.isBusy(containerId)) continue;
      await this.mutex.run(containerId, async () => {
        if (this.bindings.get(containerId) === binding && binding.dirty && binding.users === 0)
          await this.reconcile(binding, RECONCILE_MS);
      });
    }
  }

  /** Containers whose sandbox is used at this moment. */
  busyIds(): readonly string[] {
    return [...this.bindings.keys()].filter((id) => this.isBusy(id));
  }

  /** Which sandbox serves which container, by the container's id. */
  bound(): ReadonlyMap<string, SandboxId> {
    return new Map([...this.bindings].map(([id, { sandbox }]) => [id, sandbox.id]));
  }

  /** Why its sandbox was not put to sleep when nobody used it; null where it was, or was not tried. */
  whyAwake(containerId: string): string | null {
    const { sleepless, begun } = this.bindings.get(containerId) ?? {};
    return sleepless !== undefined && sleepless.begun === begun ? sleepless.reason : null;
  }

  get size(): number {
    return this.bindings.size;
  }

  /** Gives up the sandbox that was idle longest, those with nothing left to store first. */
  async giveUpIdlest(minIdleMs: number): Promise<boolean> {
    const idle = this.idleFor(minIdleMs).sort(([, a], [, b]) => Number(a.dirty) - Number(b.dirty));
    for (const [containerId] of idle) if (await this.giveUp(containerId)) return true;
    return false;
  }

  /**
   * Puts the sandbox to sleep that was idle longest, and at least so many milliseconds; false when there is none that
   * can sleep now. Called from time to time, and when nothing more urgent is done. Somebody who thinks between two
   * executions may think for long.
   */
  async sleepIdlest(minIdleMs: number): Promise<boolean> {
    const held = new Set(this.holds.ids());
    for (const [containerId, { sleepless, begun }] of this.idleFor(minIdleMs)) {
      // While others were tried, somebody may have come back.
      if (held.has(containerId) || sleepless?.begun === begun || this.isBusy(containerId)) continue;
      if (await this.sleepIdle(containerId)) return true;
    }
    return false;
  }

  /** Their memory was promised to another container of the project; nobody waits for their sandboxes to end. */
  putAside(containerIds: readonly string[]): void {
    for (const containerId of containerIds) if (this.bindings.has(containerId)) void this.giveUp(containerId);
  }

  /**
   * Puts it to sleep, or ends it where it cannot sleep. `anyway`: also where its files cannot be stored. Never
   * rejects; false when it stays.
   */
  private async giveUp(containerId: string, anyway = false): Promise<boolean> {
    return this.mutex.run(containerId, async () => {
      const binding = this.bindings.get(containerId);
      if (!binding || (binding.users > 0 && !anyway)) return false;
      try {
        const isStored = !binding.dirty || (await this.reconcile(binding, HASTY_RECONCILE_MS));
        if (!isStored && !anyway) return false;
        if (isStored && (await this.sleep(containerId, binding))) return true;
        this.logger.log({ containerId }, 'giving up an idle sandbox: its memory is needed');
        await this.release(containerId, binding.sandbox.id);
        return true;
      } catch (error) {
        this.logger.warn({ err: error, containerId }, 'an idle sandbox could not be given up');
        return false;
      }
    });
  }

  /** In the container's turn. Never rejects; false when it is as it was, or can only be attached again. */
  private sleepIdle(containerId: string): Promise<boolean> {
    return this.mutex.run(containerId, async () => {
      const binding = this.bindings.get(containerId);
      if (!binding || binding.users > 0) return false;
      const isStored =
        !binding.dirty || (await this.reconcile(binding, HASTY_RECONCILE_MS).catch(() => false));
      return isStored && this.sleep(containerId, binding);
    });
  }

  /** With all its files stored, in the container's turn. False when it is as it was, or can only be attached again. */
  private async sleep(containerId: string, binding: Binding): Promise<boolean> {
    const { id } = binding.sandbox;
    this.bindings.delete(containerId);
    try {
      await this.driver.hibernate(id);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      binding.sleepless = { begun: binding.begun, reason };
      if (error instanceof SandboxError && error.code === 'busy') this.bindings.set(containerId, binding);
      this.logger.log({ containerId, reason }, 'an idle sandbox stays awake');
      return false;
    }
    this.sleeps += 1;
    this.pool.disown(id);
    // Who holds it keeps its share, and is not told in the middle of its work that the pool is full.
    if (this.holds.ids().includes(containerId)) return true;
    await this.containers
      .setAside(containerId, id)
      .catch((error: unknown) => this.logger.warn({ err: error, containerId }, 'its share of memory stays'));
    return true;
  }

  /** Not used for so long, the longest first. */
  private idleFor(ms: number): [string, Binding][] {
    return [...this.bindings]
      .filter(([id, { lastUsedMs }]) => !this.isBusy(id) && Date.now() - lastUsedMs >= ms)
      .sort(([, a], [, b]) => a.lastUsedMs - b.lastUsedMs);
  }

  private isBusy(containerId: string): boolean {
    return this.mutex.isBusy(containerId) || (this.bindings.get(containerId)?.users ?? 0) > 0;
  }

  /**
   * The binding, with all its files stored; one whose sandbox does not answer is put away. Nobody asks a sandbox
   * whether it lives: its end is told, and code that it has not begun is run in another one.
   */
  private async settled(containerId: string): Promise<Binding | undefined> {
    const binding = this.bindings.get(containerId);
    if (!binding?.dirty || binding.users > 0) return binding;
    const done = use(binding);
    try {
      await this.reconcile(binding, RECONCILE_MS);
      return this.bindings.get(containerId);
    } catch (error) {
      this.logger.warn({ err: error, containerId }, 'a sandbox does not answer any more');
      await this.release(containerId, null);
      return undefined;
    } finally {
      done();
    }
  }

  /** True when all is stored. Rejects when the sandbox is gone, with what it held. */
  private async reconcile(binding: Binding, limitMs: number): Promise<boolean> {
    const { begun } = binding;
    try {
      const isClean = await this.files.reconcile(binding.target, binding.sandbox, limitMs);
      if (isClean && binding.begun === begun) binding.dirty = false;
      return isClean;
    } catch (error) {
      if (isGone(error)) throw error;
      this.logger.warn(
        { err: error, containerId: binding.target.id },
        'the files of a sandbox could not be stored yet',
      );
      return false;
    }
  }

  private async bind(
    containerId: string,
  ): Promise<Pick<Lease, 'stateLost' | 'isFresh' | 'missing'> & { binding: Binding }> {
    const row = await this.containers.findAny(containerId);
    if (!row || row.status !== 'running') throw new ApiError('container_expired', 'Container is expired.');
    if (row.aside) this.putAside(await this.memory.takeBack(row, this.busyIds()));
    const again = row.sandboxId === null ? null : await this.attach(row, row.sandboxId as SandboxId);
    if (again) return { binding: again, stateLost: false, isFresh: false, missing: [] };
    const { sandbox, missing } = await this.filled(row);
    try {
      const generation = await this.containers.bind(containerId, sandbox.id, row.generation);
      if (generation === null) throw new ApiError('container_expired', 'Container is expired.');
      const binding = this.remember(row, generation, sandbox);
      return { binding, stateLost: row.generation > 0, isFresh: true, missing };
    } catch (error) {
      await this.discard(sandbox.id);
      throw error;
    }
  }

  /** A sandbox with the container's files; one that has died in the pool is passed over. */
  private async filled(row: ContainerRow): Promise<{ sandbox: Sandbox; missing: readonly string[] }> {
    for (let dead = 0; ; dead += 1) {
      const sandbox = await this.pool.acquire(row.memoryLimit as MemorySize, row.projectId);
      try {
        return { sandbox, missing: await this.files.restore(sandbox, row.id) };
      } catch (error) {
        await this.discard(sandbox.id);
        if (!isGone(error) || dead >= MAX_DEAD) throw error;
        this.logger.warn({ err: error, containerId: row.id }, 'a sandbox was dead before it was used');
      }
    }
  }

  /**
   * Takes up the sandbox an earlier process left, with whatever files its last execution wrote. Null when it
   * is gone; anything else that goes wrong is thrown, for the sandbox holds variables and maybe files.
   */
  private async attach(row: ContainerRow, sandboxId: SandboxId): Promise<Binding | null> {
    try {
      const sandbox = await this.pool.attach(sandboxId);
      await this.files.removeDeleted(sandbox, row.id);
      const binding = this.remember(row, row.generation, sandbox);
      markDirty(binding);
      await this.reconcile(binding, RECONCILE_MS);
      return binding;
    } catch (error) {
      if (!isGone(error)) throw error;
      this.logger.warn(
        { containerId: row.id, reason: error.message },
        'the sandbox of an earlier run is gone',
      );
      this.bindings.delete(row.id);
      await this.discard(sandboxId);
      return null;
    }
  }

  private async discard(id: SandboxId): Promise<void> {
    this.pool.disown(id);
    try {
      await this.driver.destroy(id);
    } catch (error) {
      this.logger.warn(
        { err: error, sandboxId: id },
        'a sandbox could not be removed; the sweep tries again',
      );
    }
  }

  private remember(row: ContainerRow, generation: number, sandbox: Sandbox): Binding {
    const target = { id: row.id, projectId: row.projectId, generation };
    const binding: Binding = { target, sandbox, users: 0, lastUsedMs: Date.now(), begun: 0, dirty: false };
    this.bindings.set(row.id, binding);
    void sandbox.closed.then(async () => {
      if (this.bindings.get(row.id) !== binding) return;
      this.bindings.delete(row.id);
      this.logger.warn({ containerId: row.id, sandboxId: sandbox.id }, 'a sandbox ended by itself');
      await this.discard(sandbox.id);
      await this.containers.unbind(row.id, sandbox.id).catch(() => {});
    });
    return binding;
  }
}
