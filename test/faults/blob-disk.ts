/** A small file system of its own below a server's blobs, so that it can be filled to the last byte. */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestServer } from '../support/server.js';

const SIZE = '192m';

/** Mounts it while the server is down; undefined where this user may not mount. */
export function mountBlobDisk(server: TestServer): string | undefined {
  const path = join(server.dataDir, 'blobs');
  mkdirSync(path, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE},mode=700`, 'tmpfs', path], { stdio: 'ignore' });
    return path;
  } catch {
    return undefined;
  }
}

/** Call it when the server is down for good, before its folder is removed. */
export function unmountBlobDisk(path: string | undefined): void {
  if (path !== undefined) execFileSync('umount', ['--lazy', path], { stdio: 'ignore' });
}
