/** The thread in which images of sandboxes are packed and unpacked, while requests are served. */
import { programBeside, WorkerThread } from '../../common/worker-thread.js';
import { type PackJob, THREAD_MARK, type UnpackJob } from './image-codec.js';

export class ImageThread extends WorkerThread<PackJob | UnpackJob, number> {
  constructor() {
    super({ program: programBeside(import.meta.url, './image-codec'), mark: THREAD_MARK });
  }
}
