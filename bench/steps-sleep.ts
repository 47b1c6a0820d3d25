/** What it takes to put a sandbox to sleep and to wake it, by how much its code holds in memory. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseEnv } from '../orchestrator/src/config/env.js';
import type { Sandbox } from '../orchestrator/src/sandboxes/sandbox.driver.js';
import { TEMPLATE_DIR, TestInstallation } from '../test/fakes/sandboxes/real-engine.js';
import { type Row, summarise } from './measure.js';
import { execute, SPEC } from './steps-sandbox.js';

const MB = 1_000_000;
const MOST_BYTES = 20_000 * MB;

export interface Nap {
  /** Megabytes of the DataFrame. */
  readonly frame: number;
  /** Milliseconds. */
  readonly hibernate: readonly number[];
  /** Milliseconds from the wish to the result of the first code that uses the DataFrame. */
  readonly wake: readonly number[];
  /** Megabytes on disk. */
  readonly file: number;
}

/** Numbers by chance, so that nothing can be made smaller. */
const frameOf = (megabytes: number): string => `import numpy as np, pandas as pd
frame = pd.DataFrame({'value': np.random.default_rng().random(${Math.round((megabytes * MB) / 8)})})
mean = frame.value.mean()`;

export async function naps(frames: readonly number[], times: number): Promise<Nap[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-asleep-'));
  const dir = join(folder, 'asleep');
  const installation = new TestInstallation('bench-naps', {
    preload: parseEnv({}).SANDBOX_PRELOAD,
    templates: { dir: TEMPLATE_DIR, dataBytes: SPEC.dataBytes },
    hibernation: { dir, key: randomBytes(32), mostBytes: MOST_BYTES, floorBytes: 0 },
  });
  const driver = installation.newDriver();
  const found: Nap[] = [];
  try {
    for (const frame of frames) {
      let sandbox: Sandbox = await driver.create(SPEC);
      await sandbox.claim();
      if (frame > 0) await execute(sandbox, frameOf(frame));
      const [hibernate, wake]: [number[], number[]] = [[], []];
      let file = 0;
      for (let time = 0; time < times; time += 1) {
        const { id } = sandbox;
        const began = performance.now();
        await driver.hibernate(id);
        hibernate.push(performance.now() - began);
        const name = readdirSync(dir).find((each) => each.startsWith(id))!;
        file = statSync(join(dir, name)).size / MB;
        const woken = performance.now();
        sandbox = await driver.attach(id);
        await execute(sandbox, frame > 0 ? 'assert frame.value.mean() == mean' : '1+1');
        wake.push(performance.now() - woken);
      }
      await driver.destroy(sandbox.id);
      found.push({ frame, hibernate, wake, file: Math.round(file * 10) / 10 });
    }
  } finally {
    for (const { id } of await driver.list()) await driver.destroy(id);
    await driver.close();
    installation.remove();
    rmSync(folder, { recursive: true, force: true });
  }
  return found;
}

export function napRows({ frame, hibernate, wake, file }: Nap): Row[] {
  const name = frame === 0 ? 'nothing of its own' : `a DataFrame of ${frame} MB`;
  return [
    summarise(`falling asleep with ${name}`, hibernate, { note: `${file} MB on disk` }),
    summarise('  waking, to its first result', wake),
  ];
}
