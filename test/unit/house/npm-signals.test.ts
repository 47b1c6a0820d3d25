/** npm tells only the shell it started of a signal; so that shell must have become the script. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};
const PATIENCE = { timeout: 60_000, interval: 50 };
/** Says that it runs, and that it was told to stop; ends with its folder at the latest. */
const STANDS_IN = `
trap 'touch "$0.told"; exit 0' TERM INT HUP
touch "$0.runs"
while [ -e "$0" ]; do sleep 0.1; done
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'code-interpreter-npm-'));
  mkdirSync(join(folder, 'scripts'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'stand-in', scripts }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const files = Object.entries(scripts).flatMap(([name, command]) => {
  const file = /\bbash (scripts\/[\w-]+)/.exec(command)?.[1];
  return file === undefined ? [] : [[name, file] as const];
});

it.each(files)(
  'npm run %s hands a signal on to its script',
  async (name, file) => {
    const script = join(folder, file);
    writeFileSync(script, STANDS_IN);
    const npm = spawn('npm', ['run', name], { cwd: folder, stdio: 'ignore' });
    await vi.waitFor(() => expect(existsSync(`${script}.runs`)).toBe(true), PATIENCE);
    npm.kill('SIGTERM');
    await vi.waitFor(() => expect(existsSync(`${script}.told`)).toBe(true), PATIENCE);
  },
  130_000,
);

it('there are scripts to be told', () => expect(files.length).toBeGreaterThan(5));
