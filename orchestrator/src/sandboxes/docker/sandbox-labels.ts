/** What a Docker container of ours carries, so that a later process can take hold of it again. */
import { createHash } from 'node:crypto';
import type { SandboxSpec } from '../sandbox.driver.js';

const PREFIX = 'code-interpreter.';
export const INSTALLATION_LABEL = `${PREFIX}installation`;
const SANDBOX_LABEL = `${PREFIX}sandbox`;
const SPEC_LABEL = `${PREFIX}spec`;
const CREATED_LABEL = `${PREFIX}created-at`;
/** Free labels of the spec. */
const FREE_PREFIX = `${PREFIX}label.`;

export interface SandboxRecord {
  readonly sandboxId: string;
  readonly spec: SandboxSpec;
  readonly createdAt: Date;
}

/** Part of each container's and folder's name: one installation cannot even name another's. */
export function installationPrefix(installationId: string): string {
  return `sandbox-${createHash('sha256').update(installationId).digest('hex').slice(0, 12)}-`;
}

export function toLabels(installationId: string, record: SandboxRecord): Record<string, string> {
  const { labels = {}, ...sizes } = record.spec;
  const free = Object.entries(labels).map(([key, value]) => [`${FREE_PREFIX}${key}`, value] as const);
  return {
    ...Object.fromEntries(free),
    [INSTALLATION_LABEL]: installationId,
    [SANDBOX_LABEL]: record.sandboxId,
    [CREATED_LABEL]: record.createdAt.toISOString(),
    [SPEC_LABEL]: JSON.stringify(sizes),
  };
}

function size(sizes: Readonly<Record<string, unknown>>, key: string): number {
  const value = sizes[key];
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0;
}

function sizesOf(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

/** `undefined` for a container that is none of ours. Unreadable sizes come back as 0. */
export function fromLabels(labels: Readonly<Record<string, string>>): SandboxRecord | undefined {
  const sandboxId = labels[SANDBOX_LABEL];
  if (sandboxId === undefined) return undefined;
  const sizes = sizesOf(labels[SPEC_LABEL]);
  const free = Object.entries(labels)
    .filter(([key]) => key.startsWith(FREE_PREFIX))
    .map(([key, value]) => [key.slice(FREE_PREFIX.length), value] as const);
  return {
    sandboxId,
    createdAt: new Date(labels[CREATED_LABEL] ?? 0),
    spec: {
      memoryBytes: size(sizes, 'memoryBytes'),
      dataBytes: size(sizes, 'dataBytes'),
      maxFiles: size(sizes, 'maxFiles'),
      labels: Object.fromEntries(free),
    },
  };
}
