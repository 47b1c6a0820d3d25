/** The same questions on a runtime that does not isolate must get bad answers: else they prove nothing. */
import { deepStrictEqual } from 'node:assert/strict';
import { release } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sandbox } from '../../../orchestrator/src/sandboxes/sandbox.driver.js';
import { engineIsSkipped, TestInstallation } from '../../fakes/sandboxes/real-engine.js';
import { ask, ATTACK_SPEC, MIB } from './attack-bench.js';
import { FILL, HOST_TRACES, KERNEL } from './questions.js';

describe.skipIf(engineIsSkipped)('on plain runc', () => {
  const here = new TestInstallation('security-known-bad', { runtime: 'runc', allowInsecure: true });
  const driver = here.newDriver();
  let sandbox: Sandbox;

  beforeAll(async () => {
    sandbox = await driver.create(ATTACK_SPEC);
  });
  afterAll(async () => {
    for (const { id } of await driver.list()) await driver.destroy(id);
    await driver.close();
    deepStrictEqual(await here.leftovers(), []);
    here.remove();
  });

  it('the host’s own kernel answers', async () => {
    const seen = await ask<{ release: string; log: string }>(sandbox, KERNEL);
    expect(seen.release).toBe(release());
    expect(seen.log).not.toContain('gVisor');
  });

  it('the host shows through', async () => {
    const seen = await ask<Record<string, string>>(sandbox, HOST_TRACES);
    expect(seen['/proc/self/mountinfo']).toMatch(/docker|overlay/);
  });

  it('the data is not limited', async () => {
    const limit = ATTACK_SPEC.dataBytes / MIB;
    const [written] = await ask<[number, string | null]>(
      sandbox,
      `${FILL}\nanswer(fill('/tmp', ${limit * 2}))`,
    );
    expect(written).toBeGreaterThan(ATTACK_SPEC.dataBytes);
  });

  it('and the driver says so', async () => {
    expect(await here.newDriver({ allowInsecure: false }).check()).toMatchObject({
      ok: false,
      isolation: 'none',
    });
  });
});
