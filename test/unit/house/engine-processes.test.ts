/** How scripts/engine finds what a killed daemon left, while other processes come and go. */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
/** `grep` reads a process that has ended since the shell listed it: it finds the others, and fails. */
const SETTING = `
set -euo pipefail
. scripts/lib/common.sh
. scripts/lib/engine.sh
grep() { command grep "$@"; return 2; }
`;
/** The text goes by the environment: as an argument it would find this very shell. */
const found = async (command: string, text: string) => {
  const env = { ...process.env, TEXT: text };
  const { stdout } = await promisify(execFile)('bash', ['-c', SETTING + command], { cwd: ROOT, env });
  return stdout.split('\n').filter((pid) => pid !== '');
};
/** Of this run alone. */
const MARK = `61.${process.pid}`;
const sleeps = () => {
  const sleeper = spawn('sleep', [MARK], { stdio: 'ignore' });
  onTestFinished(() => void sleeper.kill());
  return String(sleeper.pid);
};

it('processes are found although another has just ended', async () => {
  const pid = sleeps();
  expect(await found('pids=$(pids_with "$TEXT"); echo "$pids"', MARK)).toEqual([pid]);
});

it('none to be found is no failure', async () => {
  expect(await found('pids=$(pids_with "$TEXT"); echo "$pids"', '/run/code-interpreter-of-nobody/')).toEqual(
    [],
  );
});

it('a daemon without a pid file is found, also where it has copies', async () => {
  const pids = Array.from({ length: 6 }, sleeps);
  const [pid, ...others] = await found('daemon_pid no-such-file "$TEXT"', MARK);
  expect(pids).toContain(pid);
  expect(others).toEqual([]);
  await expect(found('daemon_pid no-such-file "$TEXT"', 'nobody-at-all')).rejects.toThrow();
});

it('the file of a daemon names one at every moment, also while it is started again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'engine-pid-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const again = 'RUN_DIR=$TEXT ENGINE_DIR=$TEXT; for _ in $(seq 80); do launch probe true; done';
  let isOver = false;
  const over = found(again, folder).finally(() => (isOver = true));
  over.catch(() => undefined);
  const seen = new Set<string>();
  while (!isOver) {
    for (let time = 0; time < 20; time += 1) {
      try {
        seen.add(readFileSync(join(folder, 'probe.pid'), 'utf8').trim());
      } catch {
        // Before the first one.
      }
    }
    await setImmediate();
  }
  await over;
  expect(seen.size).toBeGreaterThan(5);
  expect([...seen].filter((pid) => !/^\d+$/.test(pid))).toEqual([]);
}, 30_000);
