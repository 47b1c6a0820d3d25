/** How scripts/engine finds what a killed daemon left, while other processes come and go. */
import { execFile, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
/** `grep` reads a process that has ended since the shell listed it: it finds the others, and fails. */
const LOOKS = `
set -euo pipefail
. scripts/lib/common.sh
. scripts/lib/engine.sh
grep() { command grep "$@"; return 2; }
pids=$(pids_with "$TEXT")
printf '%s\\n' "$pids"
`;
/** The text goes by the environment: as an argument it would find this very shell. */
const pidsWith = async (text: string) => {
  const env = { ...process.env, TEXT: text };
  const { stdout } = await promisify(execFile)('bash', ['-c', LOOKS], { cwd: ROOT, env });
  return stdout.trim();
};

it('processes are found although another has just ended', async () => {
  const sleeper = spawn('sleep', ['61.0625'], { stdio: 'ignore' });
  onTestFinished(() => void sleeper.kill());
  expect(await pidsWith('61.0625')).toBe(String(sleeper.pid));
});

it('none to be found is no failure', async () => {
  expect(await pidsWith('/run/code-interpreter-of-nobody/')).toBe('');
});
