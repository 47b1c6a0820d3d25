/** A thread of its own for work that would hold up everybody else's: started by the first job, and again if it dies. */
import { type ResourceLimits, type Transferable, Worker } from 'node:worker_threads';

/** What the thread gets. */
export interface Order<Job> {
  readonly id: number;
  readonly job: Job;
}

/** What it answers, in any order. */
export type Outcome<Result> =
  | { readonly id: number; readonly result: Result }
  | { readonly id: number; readonly error: string };

interface Waiting<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

export interface ThreadOptions {
  /** Compiled, or as it was written when tests run it: then Node finds its imports only if they end in `.ts`. */
  readonly program: URL;
  /** `workerData`: by it the program knows that it is one, and not imported. */
  readonly mark: string;
  readonly limits?: ResourceLimits;
}

/** The program beside the module at `url`: `./name.ts`, or `./name.js` where it is compiled. */
export function programBeside(url: string, name: string): URL {
  const extension = /(\.[jt]s)(?:\?.*)?$/.exec(url)?.[1] ?? '.js';
  return new URL(`${name}${extension}`, url);
}

export class WorkerThread<Job, Result> {
  private worker: Worker | undefined;
  private readonly jobs = new Map<number, Waiting<Result>>();
  private lastId = 0;

  constructor(private readonly options: ThreadOptions) {}

  /** What is in `transfer` is taken away from the caller. Rejects with the thread's error, also when it died. */
  run(job: Job, transfer: readonly Transferable[] = []): Promise<Result> {
    const worker = (this.worker ??= this.start());
    const id = (this.lastId += 1);
    return new Promise((resolve, reject) => {
      this.jobs.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, job } satisfies Order<Job>, transfer);
    });
  }

  async close(): Promise<void> {
    await this.worker?.terminate();
  }

  private start(): Worker {
    const { program, mark, limits } = this.options;
    const worker = new Worker(program, {
      workerData: mark,
      execArgv: [],
      ...(limits === undefined ? {} : { resourceLimits: limits }),
    });
    worker.on('message', (outcome: Outcome<Result>) => {
      const job = this.jobs.get(outcome.id);
      this.jobs.delete(outcome.id);
      if ('error' in outcome) job?.reject(new Error(outcome.error));
      else job?.resolve(outcome.result);
      // An idle thread keeps nobody from ending.
      if (this.jobs.size === 0) worker.unref();
    });
    worker.on('error', () => undefined);
    worker.once('exit', () => {
      if (this.worker === worker) this.worker = undefined;
      for (const { reject } of this.jobs.values()) reject(new Error(`the thread "${mark}" ended`));
      this.jobs.clear();
    });
    return worker;
  }
}
