/** The thread in which large JSON bodies are parsed, one after the other, while others are served. */
import { Worker } from 'node:worker_threads';
import { type JsonResult, THREAD_MARK } from './json-parse.js';

/** Where the program is: compiled, or as it was written when tests run it. */
const PROGRAM = new URL(import.meta.url.replace(/json-thread(\.[jt]s)(?:\?.*)?$/, 'json-parse$1'));
/** Megabytes its objects may take; text lies outside of that. */
const HEAP_MB = 512;

interface Job {
  readonly resolve: (result: JsonResult) => void;
  readonly reject: (error: Error) => void;
}

export class JsonThread {
  private worker: Worker | undefined;
  private readonly jobs = new Map<number, Job>();
  private lastId = 0;

  /** Takes the bytes away from the caller, who must not touch them again. Rejects when the thread died of them. */
  parse(bytes: Uint8Array<ArrayBuffer>): Promise<JsonResult> {
    const worker = (this.worker ??= this.start());
    const id = (this.lastId += 1);
    return new Promise((resolve, reject) => {
      this.jobs.set(id, { resolve, reject });
      worker.ref();
      worker.postMessage({ id, bytes }, [bytes.buffer]);
    });
  }

  async close(): Promise<void> {
    await this.worker?.terminate();
  }

  private start(): Worker {
    const worker = new Worker(PROGRAM, {
      workerData: THREAD_MARK,
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    worker.on('message', ({ id, result }: { id: number; result: JsonResult }) => {
      this.jobs.get(id)?.resolve(result);
      this.jobs.delete(id);
      // An idle thread keeps nobody from ending.
      if (this.jobs.size === 0) worker.unref();
    });
    worker.on('error', () => undefined);
    worker.once('exit', () => {
      if (this.worker === worker) this.worker = undefined;
      for (const { reject } of this.jobs.values()) reject(new Error('the thread that parses JSON ended'));
      this.jobs.clear();
    });
    return worker;
  }
}
