/** Where a file lands in a container: its own name, or with a short random prefix if that is taken. */
import { randomBytes } from 'node:crypto';
import { safeFileName } from '../common/file-name.js';

export const DATA_DIR = '/mnt/data';

export const plainPath = (filename: string): string => `${DATA_DIR}/${safeFileName(filename)}`;

export const prefixedPath = (filename: string): string =>
  `${DATA_DIR}/${safeFileName(`${randomBytes(4).toString('hex')}-${safeFileName(filename)}`)}`;

/** Hands out distinct paths within one request. */
export class PathAllocator {
  private readonly taken = new Set<string>();

  take(filename: string): string {
    let path = plainPath(filename);
    while (this.taken.has(path)) path = prefixedPath(filename);
    this.taken.add(path);
    return path;
  }
}

export const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);
