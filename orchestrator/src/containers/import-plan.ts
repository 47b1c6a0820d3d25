/** What an import has to do: which files of a sandbox differ from the records, and which of them are stored. */
import type { FileChange, FileEntry } from '../sandboxes/sandbox.driver.js';
import type { ContainerFileRow } from './container-file.repository.js';

/** Why a file was not stored. `later`: it is worth trying again when the container is used next. */
export type LeftReason = 'changing' | 'no_room' | 'over_quota' | 'storage_full' | 'out_of_time' | 'failed';
export const LATER: ReadonlySet<LeftReason> = new Set([
  'changing',
  'over_quota',
  'storage_full',
  'out_of_time',
  'failed',
]);

export interface LeftFile {
  readonly path: string;
  readonly reason: LeftReason;
}

/** Names of one content: hard links, or a single file. */
export type Linked = readonly [FileChange, ...FileChange[]];

export interface ImportPlan {
  readonly groups: readonly Linked[];
  /** Files that the container may not keep. */
  readonly left: readonly LeftFile[];
}

/** `gone`: paths of files that are not there any more. `dataBytes`: what the disk of a container holds. */
export function planImport(
  written: readonly FileChange[],
  rows: readonly ContainerFileRow[],
  gone: readonly string[],
  dataBytes: number,
): ImportPlan {
  const room = new Room(dataBytes, rows, gone);
  const kept: FileChange[] = [];
  const left: LeftFile[] = [];
  for (const change of written) {
    if (room.take(change)) kept.push(change);
    else left.push({ path: change.path, reason: 'no_room' });
  }
  return { groups: linked(kept), left };
}

function linked(changes: readonly FileChange[]): Linked[] {
  const groups = new Map<string, [FileChange, ...FileChange[]]>();
  for (const change of changes) {
    const key = change.identity ?? `path ${change.path}`;
    const group = groups.get(key);
    if (group) group.push(change);
    else groups.set(key, [change]);
  }
  return [...groups.values()];
}

/**
 * Bytes that the container may still keep: no more than go back into a fresh sandbox. A file that never was in
 * this one (a figure that the full disk had no room for) does not count.
 */
class Room {
  private readonly known: Map<string, number>;
  private free: number;

  constructor(dataBytes: number, rows: readonly ContainerFileRow[], gone: readonly string[]) {
    const inside = rows.filter(({ mtimeMs }) => mtimeMs !== null);
    this.known = new Map(inside.map((row) => [row.path, Number(row.bytes)]));
    for (const path of gone) this.known.delete(path);
    this.free = [...this.known.values()].reduce((left, bytes) => left - bytes, dataBytes);
  }

  take({ path, bytes }: FileEntry): boolean {
    const more = bytes - (this.known.get(path) ?? 0);
    // A file that shrank, or stays as large, always fits: that is how a container gets below the limit again.
    if (more > 0 && more > this.free) return false;
    this.free -= more;
    return true;
  }
}

/** As if it were the report of an execution. `truncated`: the list may lack files. */
export function differences(
  rows: readonly ContainerFileRow[],
  entries: readonly FileEntry[],
  truncated: boolean,
): FileChange[] {
  const known = new Map(rows.map((row) => [row.path, row]));
  const changes: FileChange[] = [];
  for (const entry of entries) {
    const row = known.get(entry.path);
    if (row && isSame(row, entry)) continue;
    changes.push({ ...entry, change: row ? 'modified' : 'created' });
  }
  if (truncated) return changes;
  const present = new Set(entries.map(({ path }) => path));
  for (const { path, mtimeMs } of rows) {
    // A row without a time was never copied in; the binding does that next.
    if (!present.has(path) && mtimeMs !== null)
      changes.push({ path, bytes: 0, modifiedAtMs: 0, change: 'deleted' });
  }
  return changes;
}

function isSame(row: ContainerFileRow, entry: FileEntry): boolean {
  return (
    Number(row.bytes) === entry.bytes &&
    row.mtimeMs !== null &&
    Number(row.mtimeMs) === Math.floor(entry.modifiedAtMs) &&
    // A sandbox of an older release has no stamps; a row of one has none, and its file is read once more.
    (entry.stamp === undefined || row.stamp === entry.stamp)
  );
}
