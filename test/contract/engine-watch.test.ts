/** A private engine of this test's own, without images, whose daemons are killed. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const PATIENCE = { timeout: 150_000, interval: 200 };
const run = promisify(execFile);

let folder: string;
let runDir: string;

const engine = (verb: string) =>
  run(join(ROOT, 'scripts/engine'), [verb], {
    env: { ...process.env, CI_ENGINE_PRIVATE: '1', CI_ENGINE_DIR: folder },
  });
/** Throws for a file that says none: to signal 0 would end this very test run. */
function pidOf(daemon: string): number {
  const pid = Number(readFileSync(join(runDir, `${daemon}.pid`), 'utf8'));
  if (!(pid > 1)) throw new Error(`there is no pid of ${daemon} at the moment`);
  return pid;
}
/** Empty for one that is gone, or has ended and waits to be reaped. */
const commandOf = (pid: number) =>
  existsSync(`/proc/${pid}/cmdline`) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8') : '';
const answers = () => engine('status').then(({ stdout }) => stdout);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'code-interpreter-engine-'));
  const { stdout } = await engine('up');
  runDir = dirname(/^DOCKER_HOST=unix:\/\/(.*)$/m.exec(stdout)![1]!);
}, 300_000);
afterAll(async () => {
  await engine('down');
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}, 120_000);

describe('a private engine', () => {
  it.each([[['dockerd']], [['containerd']], [['dockerd', 'containerd']]])(
    'is up again after %j was killed',
    async (daemons) => {
      const killed = daemons.map((daemon) => [daemon, pidOf(daemon)] as const);
      for (const [, pid] of killed) process.kill(pid, 'SIGKILL');
      await vi.waitFor(async () => {
        for (const [daemon, pid] of killed) expect(pidOf(daemon)).not.toBe(pid);
        expect(await answers()).toContain('engine: private');
      }, PATIENCE);
    },
    180_000,
  );

  it('stays down when it was taken down', async () => {
    const pids = ['dockerd', 'containerd', 'watch'].map(pidOf);
    await engine('down');
    await expect(answers()).rejects.toThrow();
    for (const pid of pids) expect(commandOf(pid)).toBe('');
  });
});
