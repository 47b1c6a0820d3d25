/** The thread in which images of sandboxes are packed and unpacked, while requests are served. */
import { Worker } from 'node:worker_threads';
import { type PackJob, THREAD_MARK, type UnpackJob } from './image-codec.js';

/** Where the program is: compiled, or as it was written when tests run it. */
const PROGRAM = new URL(import.meta.url.replace(/image-thread(\.[jt]s)(?:\?.*)?$/, 'image-codec$1'));

interface Waiting {
  readonly resolve: (bytes: number) => void;
  readonly reject: (error: Error) => void;
}

interface Answer {
  readonly id: number;
  readonly bytes?: number;
  readonly error?: string;
}

export class ImageThread {
  private worker: Worker | undefined;
  private readonly jobs = new Map<number, Waiting>();
  private lastId = 0;

  /** Resolves with the bytes of the packed file, or 0. Rejects with what went wrong, also when the thread died. */
  run(job: PackJob | UnpackJob): Promise<number> {
    const worker = (this.worker ??= this.start());
    const id = (this.lastId += 1);
    return new Promise((resolve, reject) => {
      this.jobs.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, job });
    });
  }

  async close(): Promise<void> {
    await this.worker?.terminate();
  }

  private start(): Worker {
    const worker = new Worker(PROGRAM, { workerData: THREAD_MARK, execArgv: [] });
    worker.on('message', ({ id, bytes, error }: Answer) => {
      const job = this.jobs.get(id);
      this.jobs.delete(id);
      if (error === undefined) job?.resolve(bytes ?? 0);
      else job?.reject(new Error(error));
      // An idle thread keeps nobody from ending.
      if (this.jobs.size === 0) worker.unref();
    });
    worker.on('error', () => undefined);
    worker.once('exit', () => {
      if (this.worker === worker) this.worker = undefined;
      for (const { reject } of this.jobs.values()) reject(new Error('the thread that packs images ended'));
      this.jobs.clear();
    });
    return worker;
  }
}
