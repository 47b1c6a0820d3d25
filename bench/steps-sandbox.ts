/** Sandboxes without the server around them, and what they replace. */
import { execFileSync } from 'node:child_process';
import { parseEnv } from '../orchestrator/src/config/env.js';
import type { Sandbox, SandboxDriver } from '../orchestrator/src/sandboxes/sandbox.driver.js';
import { engineSettings, TestInstallation } from '../test/fakes/sandboxes/real-engine.js';
import { type Row, rounds, summarise } from './measure.js';

const GIB = 1024 ** 3;
const PROGRAM = 'import numpy, pandas, matplotlib.pyplot';

export const SPEC = { memoryBytes: GIB, dataBytes: 2 * GIB, maxFiles: 10_000 };
const LIMITS = {
  timeoutMs: 60_000,
  maxOutputBytes: 1_048_576,
  maxImages: 20,
  maxImageBytes: 10_485_760,
};

export async function execute(sandbox: Sandbox, code: string): Promise<void> {
  for await (const event of sandbox.execute(code, LIMITS)) {
    if (event.type === 'finished' && event.status !== 'completed')
      throw new Error(`it ended as ${event.status}`);
  }
}

export interface Counts {
  readonly coldStarts: number;
  readonly pings: number;
  readonly yardsticks: number;
}

async function start(driver: SandboxDriver): Promise<{ sandbox: Sandbox; ms: number }> {
  const beganAt = performance.now();
  const sandbox = await driver.create(SPEC);
  return { sandbox, ms: performance.now() - beganAt };
}

/** How long starts take with nothing imported. */
async function bareStarts(installation: TestInstallation, count: number): Promise<number[]> {
  const driver = installation.newDriver({ preload: [] });
  try {
    const times: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const { sandbox, ms } = await start(driver);
      times.push(ms);
      await driver.destroy(sandbox.id);
    }
    return times;
  } finally {
    await driver.close();
  }
}

export async function sandboxes(counts: Counts): Promise<Row[]> {
  const installation = new TestInstallation('bench');
  const driver = installation.newDriver({ preload: parseEnv({}).SANDBOX_PRELOAD });
  let bare: number[] = [];
  const cold: number[] = [];
  let pings: number[] = [];
  let runs: number[] = [];
  try {
    // The first start on a machine reads the image from the disk; that is counted nowhere.
    await driver.destroy((await driver.create(SPEC)).id);
    for (let index = 0; index < counts.coldStarts; index += 1) {
      const { sandbox: live, ms } = await start(driver);
      cold.push(ms);
      if (index === 0) {
        await live.claim();
        await execute(live, '1+1');
        pings = await rounds(counts.pings, () => live.ping());
        runs = await rounds(counts.pings, () => execute(live, '1+1'));
      }
      await driver.destroy(live.id);
    }
    bare = await bareStarts(installation, counts.coldStarts);
  } finally {
    for (const { id } of await driver.list()) await driver.destroy(id);
    await driver.close();
    installation.remove();
  }
  return [
    summarise('supervisor: ping', pings, { aim: 3 }),
    summarise('supervisor: 1+1 through driver, socket and kernel', runs, { aim: 3 }),
    summarise('cold start of a sandbox, data stack imported', cold),
    summarise('cold start of a sandbox, nothing imported', bare),
  ];
}

/** What one would do without this server: a container for each piece of code. */
export async function yardstick(counts: Counts): Promise<Row> {
  const { dockerHost, runtime, image } = engineSettings();
  const container = ['run', '--rm', `--runtime=${runtime}`, '--network=none', '--entrypoint', 'python3'];
  const run = () =>
    Promise.resolve(
      execFileSync('docker', ['--host', dockerHost, ...container, image, '-c', PROGRAM], { stdio: 'ignore' }),
    );
  return summarise(`yardstick: docker run … -c "${PROGRAM}"`, await rounds(counts.yardsticks, run));
}
