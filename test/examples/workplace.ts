/** A folder that looks like a clone with a running server, for commands out of the documentation. */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from '../support/project.js';
import { ROOT } from './documents.js';

/** Where a default installation listens; the test's server has another port. */
const DEFAULT_ORIGIN = 'http://127.0.0.1:3000';
const TIMEOUT_MS = 170_000;

/** The Python that has the official client; `scripts/test` makes it. */
export function pythonClient(): string {
  const made = process.env['TEST_PYTHON'] ?? join(ROOT, 'data/test-venv/bin/python');
  if (!existsSync(made)) throw new Error(`${made} is missing; npm test -- contract makes it`);
  return made;
}

export class Workplace {
  private readonly dir: string;

  constructor(private readonly project: TestProject) {
    // Below the clone, so that Node finds the packages a reader would have.
    mkdirSync(join(ROOT, 'test-results'), { recursive: true });
    this.dir = mkdtempSync(join(ROOT, 'test-results/examples-'));
    cpSync(join(ROOT, 'examples'), join(this.dir, 'examples'), { recursive: true });
    mkdirSync(join(this.dir, 'data'));
    writeFileSync(join(this.dir, 'data/api-key'), `${project.key}\n`);
  }

  /** Runs shell commands in the clone's folder and returns what they print; rejects when one fails. */
  async run(commands: string): Promise<string> {
    const script = commands.replaceAll(DEFAULT_ORIGIN, this.project.server.origin);
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
      cwd: this.dir,
      env: { PATH: process.env['PATH'], HOME: this.dir },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
    });
    let printed = '';
    let complained = '';
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (complained += chunk.toString()));
    const code = await new Promise<number | null>((done, fail) => child.on('error', fail).on('close', done));
    if (code !== 0) throw new Error(`the commands ended with ${code}:\n${complained}\n${printed}`);
    return printed;
  }

  /** A file the commands made, taken away. */
  take(path: string): Buffer {
    const full = join(this.dir, path);
    const content = readFileSync(full);
    rmSync(full);
    return content;
  }

  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
