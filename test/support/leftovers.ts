/** What the servers of tests leave in the temporary directory, and how it goes. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../orchestrator/src/database/embedded-postgres.js';
import { withFileLock } from '../../orchestrator/src/database/process-lock.js';
import { DockerEngine } from '../../orchestrator/src/sandboxes/docker/docker-engine.js';
import { engineSettings } from '../fakes/sandboxes/real-engine.js';

const FOLDER = /^code-interpreter-[a-z]+-(\d+)-/;
const LOCK_TIMEOUT_MS = 120_000;

/** Docker's ids of all sandboxes of the server that used this folder. */
export async function sandboxesOf(dataDir: string): Promise<readonly string[]> {
  const idFile = join(dataDir, 'installation-id');
  if (!existsSync(idFile)) return [];
  const engine = new DockerEngine(engineSettings().dockerHost);
  return (await engine.list(readFileSync(idFile, 'utf8').trim())).map(({ engineId }) => engineId);
}

export async function removeSandboxesOf(dataDir: string): Promise<void> {
  const ids = await sandboxesOf(dataDir);
  if (ids.length === 0) return;
  const engine = new DockerEngine(engineSettings().dockerHost);
  await Promise.all(ids.map((id) => engine.remove(id)));
}

/** A run that was killed could not unmount the disks that it gave to its server. */
function unmountBelow(folder: string): void {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const target = line.split(' ')[4];
    if (target?.startsWith(`${folder}/`)) execFileSync('umount', ['--lazy', target], { stdio: 'ignore' });
  }
}

/** Sandboxes of running containers outlive a server on purpose; here they go, and all the rest. */
export async function removeAll(dataDir: string): Promise<void> {
  if (existsSync(join(dataDir, 'postgres/cluster/postmaster.pid'))) {
    await (await startEmbeddedPostgres({ dataDir, log: () => undefined })).stop();
  }
  await removeSandboxesOf(dataDir);
  unmountBelow(dataDir);
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5 });
}

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

const leftoversIn = (folder: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => {
      const pid = FOLDER.exec(name)?.[1];
      return pid !== undefined && !isAlive(Number(pid));
    })
    .map((name) => join(folder, name));

/**
 * What runs that were killed left behind; folders carry the pid of the run they belong to. Each test
 * process calls it before it starts a server, so several may at once: one removes, the others wait for it.
 */
export async function removeLeftovers(folder = tmpdir()): Promise<void> {
  if (leftoversIn(folder).length === 0) return;
  const lock = join(folder, `code-interpreter-leftovers-${process.getuid?.() ?? 0}.lock`);
  await withFileLock(lock, LOCK_TIMEOUT_MS, async () => {
    for (const leftover of leftoversIn(folder)) await removeAll(leftover);
  });
}
