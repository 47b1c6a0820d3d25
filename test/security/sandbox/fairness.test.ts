/** CPUs: whoever computes without pause gives way to whoever has not, and never has them all. */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  CpuCgroup,
  cpuPlaces,
  type CpuPlaces,
} from '../../../orchestrator/src/sandboxes/docker/cpu-cgroup.js';
import type { Sandbox } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { run } from '../../contract/sandbox-driver.helpers.js';
import { engineIsSkipped } from '../../fakes/sandboxes/real-engine.js';
import { ATTACK_SPEC, AttackBench } from './attack-bench.js';

/** More processes than CPUs, each without pause, for so many seconds. */
const burn = (seconds: number) => `
import os, time
until = time.monotonic() + ${seconds}
children = []
for _ in range(2 * os.cpu_count()):
    pid = os.fork()
    if pid == 0:
        while time.monotonic() < until: pass
        os._exit(0)
    children.append(pid)
for pid in children: os.waitpid(pid, 0)`;
/** The host looks four times a second; a busy machine may need longer. Milliseconds. */
const PATIENCE = { timeout: 60_000, interval: 50 };

describe.skipIf(engineIsSkipped)('the CPUs', () => {
  const bench = new AttackBench('fairness');

  async function places({ id }: Sandbox): Promise<CpuPlaces> {
    const pid = bench.here.docker('inspect', '--format', '{{.State.Pid}}', bench.here.containerName(id));
    const found = cpuPlaces(
      readFileSync(`/proc/${pid.trim()}/cgroup`, 'utf8'),
      readFileSync('/proc/self/mountinfo', 'utf8'),
      await bench.here.engineId(id),
    );
    if (found === undefined) throw new Error('the host hides the cgroup of a sandbox');
    return found;
  }

  /** Of a sandbox among sandboxes; what the kernel counts for one that is idle by its own word is 3. */
  function weight({ version, weights }: CpuPlaces): number {
    return Number(readFileSync(join(weights, version === 1 ? 'cpu.shares' : 'cpu.weight'), 'utf8'));
  }

  const usedMs = (place: CpuPlaces) => new CpuCgroup(place).usedMs()!;

  it('are the newcomer’s beside those that compute without pause, who have their weight back later', async () => {
    const burning = [await bench.attacked(), await bench.start(ATTACK_SPEC)];
    const theirs = await Promise.all(burning.map(places));
    const own = await places(bench.neighbour());
    const full = weight(own);
    const stop = new AbortController();
    onTestFinished(() => stop.abort());
    const running = Promise.allSettled(
      burning.map((sandbox) => run(sandbox, burn(600), { timeoutMs: 120_000, signal: stop.signal })),
    );
    await vi.waitFor(
      () => theirs.forEach((place) => expect(weight(place)).toBeLessThan(full / 40)),
      PATIENCE,
    );
    expect(weight(own)).toBe(full);

    // From when it is at it until well before its own credit is used up.
    const began = usedMs(own);
    const computing = run(bench.neighbour(), burn(3), { timeoutMs: 60_000 });
    await vi.waitFor(() => expect(usedMs(own)).toBeGreaterThan(began + 150), {
      timeout: 60_000,
      interval: 5,
    });
    const before = [own, ...theirs].map(usedMs);
    await vi.waitFor(() => expect(usedMs(own)).toBeGreaterThan(began + 500), {
      timeout: 60_000,
      interval: 5,
    });
    const [newcomer, ...others] = [own, ...theirs].map((place, index) => usedMs(place) - before[index]!);
    for (const other of others) expect(newcomer).toBeGreaterThan(1.5 * other);
    await computing;

    stop.abort();
    await running;
    // What code forked burns on until then.
    await Promise.all(burning.map((sandbox) => sandbox.restart()));
    await vi.waitFor(() => theirs.forEach((place) => expect(weight(place)).toBe(full)), PATIENCE);
    await bench.driver.destroy(burning[1]!.id);
  });

  it('are never all for sandboxes', async () => {
    const { version, weights } = await places(bench.neighbour());
    const parent = dirname(dirname(weights));
    const read = (name: string) => readFileSync(join(parent, name), 'utf8').trim();
    const [quota, period] =
      version === 2 ? read('cpu.max').split(' ') : [read('cpu.cfs_quota_us'), read('cpu.cfs_period_us')];
    expect(Number(quota) / Number(period)).toBe(Math.max(0.5, cpus().length - 0.5));
  });
});
