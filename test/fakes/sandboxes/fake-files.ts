/** `/mnt/data` of a fake sandbox: files by path, folders implied. */
import {
  SandboxError,
  type FileChange,
  type FileEntry,
} from '../../../orchestrator/src/sandboxes/sandbox.driver.js';

const ROOT = '/mnt/data/';

interface StoredFile {
  readonly content: Buffer;
  readonly modifiedAtMs: number;
  /** Grows with each write, like a real file's ctime. */
  readonly version: number;
}

function requirePath(path: string): void {
  const parts = path.slice(ROOT.length).split('/');
  const isBad = (part: string): boolean =>
    part === '' || part === '.' || part === '..' || part.includes('\0') || Buffer.byteLength(part) > 255;
  if (!path.startsWith(ROOT) || parts.some(isBad)) {
    throw new SandboxError(
      'invalid_path',
      'a path is absolute, below /mnt/data, without "..", empty or long parts',
    );
  }
}

export class FakeFiles {
  private readonly files = new Map<string, StoredFile>();
  private readonly maxBytes: number;
  private readonly maxFiles: number;
  private version = 0;

  constructor(maxBytes: number, maxFiles: number) {
    this.maxBytes = maxBytes;
    this.maxFiles = maxFiles;
  }

  /** For user code and uploads alike: all or nothing. */
  write(path: string, content: Buffer, modifiedAtMs = Date.now()): FileEntry {
    requirePath(path);
    if (this.isFolder(path)) throw new SandboxError('not_a_file', 'that is a folder');
    if (this.hasFileAbove(path)) throw new SandboxError('invalid_path', 'a part of the path is a file');
    const used = this.used(path);
    const isNew = !this.files.has(path);
    if (used + content.length > this.maxBytes || (isNew && this.files.size >= this.maxFiles)) {
      throw new SandboxError('no_space', 'the data disk is full');
    }
    this.version += 1;
    this.files.set(path, { content, modifiedAtMs, version: this.version });
    return this.entry(path);
  }

  /** User code that sets the time of modification back to what it was. */
  forge(path: string, content: Buffer): void {
    this.write(path, content, this.entry(path).modifiedAtMs);
  }

  read(path: string): Buffer {
    requirePath(path);
    return this.require(path).content;
  }

  remove(path: string): void {
    requirePath(path);
    this.require(path);
    this.files.delete(path);
  }

  list(limit: number): { entries: FileEntry[]; truncated: boolean; dataUsedBytes: number } {
    const paths = [...this.files.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    return {
      entries: paths.slice(0, limit).map((path) => this.entry(path)),
      truncated: paths.length > limit,
      dataUsedBytes: this.used(),
    };
  }

  entry(path: string): FileEntry {
    const { content, modifiedAtMs, version } = this.require(path);
    return { path, bytes: content.length, modifiedAtMs, stamp: `version ${version}` };
  }

  /** For {@link changesSince}. */
  snapshot(): ReadonlyMap<string, number> {
    return new Map([...this.files].map(([path, { version }]) => [path, version]));
  }

  changesSince(before: ReadonlyMap<string, number>): FileChange[] {
    const changes: FileChange[] = [];
    for (const [path, { version }] of this.files) {
      const old = before.get(path);
      if (old === version) continue;
      changes.push({ ...this.entry(path), change: old === undefined ? 'created' : 'modified' });
    }
    for (const path of before.keys()) {
      if (!this.files.has(path)) changes.push({ path, bytes: 0, modifiedAtMs: 0, change: 'deleted' });
    }
    return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Without the file `except`. */
  private used(except?: string): number {
    return [...this.files].reduce(
      (sum, [name, { content }]) => sum + (name === except ? 0 : content.length),
      0,
    );
  }

  private require(path: string): StoredFile {
    const file = this.files.get(path);
    if (file !== undefined) return file;
    if (this.isFolder(path)) throw new SandboxError('not_a_file', 'that is a folder');
    throw new SandboxError('not_found', 'there is no such file');
  }

  private isFolder(path: string): boolean {
    return [...this.files.keys()].some((name) => name.startsWith(`${path}/`));
  }

  private hasFileAbove(path: string): boolean {
    return [...this.files.keys()].some((name) => path.startsWith(`${name}/`));
  }
}
