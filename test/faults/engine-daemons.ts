/** The daemons of a private engine that belongs to this tree alone, so that a test may kill them. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
/** On a busy disk a daemon needs a minute to come back. */
const BACK_TIMEOUT_MS = 240_000;
const POLL_MS = 200;

export type Daemon = 'dockerd' | 'containerd';

const host = (): string => process.env['DOCKER_HOST'] ?? '';
const runFolder = (): string => dirname(host().replace(/^unix:\/\//, ''));

/** Its pid, if the pid file names a process of that name. */
export function daemonPid(daemon: Daemon): number | undefined {
  try {
    const pid = Number(readFileSync(join(runFolder(), `${daemon}.pid`), 'utf8'));
    const [command = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    return command.split('/').at(-1) === daemon ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** One that another tree lends to this one, or the machine's own, serves others too. */
export function isOwnEngine(): boolean {
  const lent = process.env['CI_ENGINE_DIR'];
  const isOurs = lent === undefined || resolve(lent).startsWith(ROOT + sep);
  return isOurs && host().startsWith('unix:///run/code-interpreter-') && daemonPid('dockerd') !== undefined;
}

/** Kills these and resolves when the engine's watch has them back and it answers. */
export async function killDaemons(daemons: readonly Daemon[]): Promise<void> {
  const killed = daemons.map((daemon) => [daemon, daemonPid(daemon)] as const);
  for (const [daemon, pid] of killed) {
    if (pid === undefined) throw new Error(`${daemon} is not there to be killed`);
    process.kill(pid, 'SIGKILL');
  }
  const isBack = async (): Promise<boolean> =>
    killed.every(([daemon, pid]) => ![undefined, pid].includes(daemonPid(daemon))) && (await answers());
  const deadline = Date.now() + BACK_TIMEOUT_MS;
  while (!(await isBack())) {
    if (Date.now() > deadline) throw new Error(`the engine is not back after ${daemons.join(' and ')} died`);
    await sleep(POLL_MS);
  }
}

const answers = (): Promise<boolean> =>
  run('docker', ['--host', host(), 'version'], { timeout: 5_000 }).then(
    () => true,
    () => false,
  );
