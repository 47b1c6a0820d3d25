/** What is measured when somebody asks. A part that cannot be measured is left out, the rest is told. */
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { Gauge } from 'prom-client';
import { JobScheduler } from '../queues/job-scheduler.js';
import { SandboxDriver } from '../sandboxes/sandbox.driver.js';
import { SandboxPool } from '../sandboxes/sandbox.pool.js';
import type { StorageUsage } from '../storage/blob.store.js';
import { BlobsService } from '../storage/blobs.service.js';
import { DiskSpace } from '../storage/disk-space.js';
import { ContainerCounts } from './container-counts.js';
import { Metrics, PREFIX } from './metrics.service.js';

/** Milliseconds a walk through the blob store stays good. */
const STORAGE_MS = 300_000;

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

@Injectable()
export class MetricsGauges implements OnModuleInit {
  private storage: { readonly usage: Promise<StorageUsage>; readonly atMs: number } | undefined;

  constructor(
    private readonly metrics: Metrics,
    private readonly containers: ContainerCounts,
    private readonly pool: SandboxPool,
    private readonly driver: SandboxDriver,
    private readonly jobs: JobScheduler,
    private readonly blobs: BlobsService,
    private readonly disk: DiskSpace,
  ) {}

  onModuleInit(): void {
    this.addPool();
    this.addContainers();
    this.addSleepers();
    this.addMemory();
    this.addStorage();
    this.addDisk();
    this.addQueues();
  }

  private addPool(): void {
    this.gauge('pool_sandboxes', 'Sandboxes of the warm pool, by size and state.', ['size', 'state'], () =>
      this.pool.state().flatMap(({ size, target, warm, starting }): Sample[] => [
        [{ size, state: 'target' }, target],
        [{ size, state: 'warm' }, warm],
        [{ size, state: 'starting' }, starting],
      ]),
    );
    this.gauge('sandbox_queue', 'Requests that wait in line for a sandbox, by size.', ['size'], () =>
      this.pool.state().map(({ size, queue }): Sample => [{ size }, queue.waiting]),
    );
    this.gauge('sandbox_queue_seconds', 'How long the first of them has waited, by size.', ['size'], () =>
      this.pool.state().map(({ size, queue }): Sample => [{ size }, queue.longestMs / 1_000]),
    );
  }

  private addContainers(): void {
    const containers = shared(() => this.containers.countLive());
    this.gauge('containers_live', 'Containers that run and have not expired.', [], async () => [
      [{}, (await containers()).live],
    ]);
    this.gauge('sandboxes_bound', 'Sandboxes that serve a container.', [], async () => [
      [{}, (await containers()).bound],
    ]);
  }

  private addSleepers(): void {
    const asleep = shared(async () => (await this.driver.list()).flatMap(({ asleep: state }) => state ?? []));
    this.gauge('sandboxes_asleep', 'Sandboxes that sleep on disk.', [], async () => [
      [{}, (await asleep()).length],
    ]);
    this.gauge('sandboxes_asleep_bytes', 'What they take there.', [], async () => [
      [{}, (await asleep()).reduce((sum, { bytes }) => sum + bytes, 0)],
    ]);
  }

  private addMemory(): void {
    const memory = shared(() => this.driver.memory());
    this.gauge('sandbox_memory_bytes', 'Memory all sandboxes really use.', [], async () => [
      [{}, (await memory()).usedBytes],
    ]);
    this.gauge('host_free_memory_bytes', 'Free memory of the host.', [], async () => [
      [{}, (await memory()).hostFreeBytes],
    ]);
  }

  private addStorage(): void {
    this.gauge('blob_store_bytes', 'Bytes of stored content.', [], async () => [
      [{}, (await this.stored()).bytes],
    ]);
    this.gauge('blob_store_blobs', 'Pieces of stored content.', [], async () => [
      [{}, (await this.stored()).blobs],
    ]);
    this.gauge('blob_store_free_bytes', 'Bytes the blob store can still take.', [], async () => {
      const { freeBytes } = await this.stored();
      return freeBytes === null ? [] : [[{}, freeBytes]];
    });
  }

  private addDisk(): void {
    const disk = shared(() => this.disk.state());
    this.gauge('disk_free_bytes', 'Free bytes of the fullest disk under DATA_DIR.', [], async () => [
      [{}, (await disk()).freeBytes],
    ]);
    this.gauge('disk_floor_bytes', 'Free bytes below which nothing is stored.', [], async () => [
      [{}, (await disk()).floorBytes],
    ]);
  }

  private addQueues(): void {
    this.gauge('queue_jobs', 'Jobs by queue and state.', ['queue', 'state'], async () =>
      Object.entries(await this.jobs.state()).flatMap(([queue, counts]) =>
        Object.entries(counts).map(([state, count]): Sample => [{ queue, state }, count as number]),
      ),
    );
  }

  private gauge(
    name: string,
    help: string,
    labelNames: string[],
    measure: () => readonly Sample[] | Promise<readonly Sample[]>,
  ): void {
    const gauge: Gauge = new Gauge({
      name: `${PREFIX}${name}`,
      help,
      labelNames,
      registers: [this.metrics.registry],
      collect: async () => {
        gauge.reset();
        // A gauge without labels stands at 0 after a reset; nothing is truer than a made-up zero.
        if (labelNames.length === 0) gauge.remove();
        const samples = await Promise.resolve()
          .then(measure)
          .catch(() => []);
        for (const [labels, value] of samples) gauge.set(labels, value);
      },
    });
  }

  /** Walking the store takes long when it is large, so the last walk is good for a while. */
  private stored(): Promise<StorageUsage> {
    if (!this.storage || Date.now() - this.storage.atMs > STORAGE_MS) {
      const usage = this.blobs.usage();
      this.storage = { usage, atMs: Date.now() };
      usage.catch(() => (this.storage = undefined));
    }
    return this.storage.usage;
  }
}

/** One measurement for several gauges of the same scrape. */
function shared<T>(measure: () => Promise<T>): () => Promise<T> {
  let current: Promise<T> | undefined;
  return () => {
    current ??= measure().finally(() => (current = undefined));
    return current;
  };
}
