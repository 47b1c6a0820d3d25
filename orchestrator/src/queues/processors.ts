import { WorkerHost } from '@nestjs/bullmq';
import { Injectable } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { JobProcessor } from './job.processor.js';
import type { QueueName } from './queue-names.js';

/** A processor class that runs in this process. */
export interface RegisteredProcessor {
  readonly queue: string;
  readonly host: WorkerHost;
}

/** Where `@Processor` writes down its queue. */
const PROCESSOR_METADATA = 'bullmq:processor_metadata';

function queueOf(host: WorkerHost): string {
  const metadata = Reflect.getMetadata(PROCESSOR_METADATA, host.constructor) as { name?: string } | undefined;
  if (metadata?.name === undefined) {
    throw new Error(
      `${host.constructor.name} does not say which queue it processes; put @Processor(QUEUES.…) above it.`,
    );
  }
  return metadata.name;
}

/** Throws when two classes take jobs of one queue: each job would reach either, at random. */
export function assertOneProcessorEach(found: readonly RegisteredProcessor[]): void {
  const byQueue = new Map<string, string>();
  for (const { queue, host } of found) {
    const name = host.constructor.name;
    const other = byQueue.get(queue);
    if (other !== undefined) {
      throw new Error(
        `${other} and ${name} both process the queue '${queue}'; move the handlers into one class.`,
      );
    }
    byQueue.set(queue, name);
  }
}

/** Knows the processors of this process. There may be none for a queue: another role runs it then. */
@Injectable()
export class Processors {
  constructor(private readonly discovery: DiscoveryService) {}

  all(): readonly RegisteredProcessor[] {
    return this.discovery
      .getProviders()
      .map((wrapper) => wrapper.instance as unknown)
      .filter((instance) => instance instanceof WorkerHost)
      .map((host) => ({ queue: queueOf(host), host }));
  }

  /** Throws when the queue's processor is here and does not know the job. */
  assertHandled(queue: QueueName, jobName: string): void {
    const found = this.all().find((each) => each.queue === queue)?.host;
    if (found instanceof JobProcessor && !Object.hasOwn(found.handlers, jobName)) {
      throw new Error(
        `No handler for the job '${jobName}' of the queue '${queue}': add it to the handlers of ${found.constructor.name}.`,
      );
    }
  }
}
