/** The thread in which large JSON bodies are parsed, one after the other, while others are served. */
import { programBeside, WorkerThread } from '../common/worker-thread.js';
import { type JsonResult, THREAD_MARK } from './json-parse.js';

/** Megabytes its objects may take; text lies outside of that. */
const HEAP_MB = 512;

export class JsonThread {
  private readonly thread = new WorkerThread<Uint8Array<ArrayBuffer>, JsonResult>({
    program: programBeside(import.meta.url, './json-parse'),
    mark: THREAD_MARK,
    limits: { maxOldGenerationSizeMb: HEAP_MB },
  });

  /** Takes the bytes away from the caller, who must not touch them again. Rejects when the thread died of them. */
  parse(bytes: Uint8Array<ArrayBuffer>): Promise<JsonResult> {
    return this.thread.run(bytes, [bytes.buffer]);
  }

  close(): Promise<void> {
    return this.thread.close();
  }
}
