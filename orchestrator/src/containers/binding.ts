/** A container's hold on a live sandbox, and a use of it. */
import { type Sandbox, SandboxError } from '../sandboxes/sandbox.driver.js';
import type { ImportTarget } from './container-file.repository.js';

export interface Binding {
  readonly target: ImportTarget;
  readonly sandbox: Sandbox;
  /** What uses it now: executions, files on their way in, a comparison with the records. */
  users: number;
  lastUsedMs: number;
  /** Changes with each execution; clean when the last one that was begun is stored. */
  begun: number;
  dirty: boolean;
  /** Why it did not fall asleep, and after which execution; it is not asked again before the next one. */
  sleepless?: { readonly begun: number; readonly reason: string };
}

/** A sandbox in use; `release` must be called exactly once. */
export interface Lease {
  readonly target: ImportTarget;
  readonly sandbox: Sandbox;
  /** The container had another sandbox before: its variables are gone. */
  readonly stateLost: boolean;
  /** It has run nothing yet. */
  readonly isFresh: boolean;
  /** Paths of files of the container that this fresh sandbox has no room for. */
  readonly missing: readonly string[];
  /** Called before code runs. What it returns is called when all that the code left is stored. */
  markDirty(): () => void;
  release(): void;
}

export const isGone = (error: unknown): error is SandboxError =>
  error instanceof SandboxError && error.code === 'gone';

/** Before code runs. What it returns is called when all that the code left is stored. */
export function markDirty(binding: Binding): () => void {
  const wasClean = !binding.dirty;
  binding.dirty = true;
  binding.begun += 1;
  const { begun } = binding;
  return () => {
    // What was missing before is not stored by this.
    if (wasClean && binding.begun === begun) binding.dirty = false;
  };
}

/** Counts one user more; the returned function ends it, once. */
export function use(binding: Binding): () => void {
  binding.users += 1;
  binding.lastUsedMs = Date.now();
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    binding.users -= 1;
    binding.lastUsedMs = Date.now();
  };
}
